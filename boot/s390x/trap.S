# Interruption entry and exit.
#
# The new PSWs have translation on, in home space. Low core is then not at 0, which is unmapped,
# but at 0x2000: near enough for a 20-bit displacement without a base register. The exit has
# to turn translation off: LPSWE has a 12-bit displacement, and no register is left for a base.
# It can, because stacks and code are mapped where they lie.
#
# (Entries with translation off were tried. They cannot check the stack: LRA, which the manual
# lets translate all the same, does not in QEMU.)
#
# The frame, with the ABI's 160 bytes for the callee {FRAME} bytes, is `trap::TrapFrame`.

    .text

# The register contents of the interrupted program, the old PSW at \old, and interruption
# parameters (length 0: none) into a frame below r15; r1 = low core, r3 = flags.
    .macro FRAME save, old, at0, len0, at1, len1
    aghi    %r15, -{FRAME}
    mvc     {FR_PSW}(16,%r15), \old(%r1)
    mvc     {FR_GPRS}(128,%r15), \save(%r1)
    stg     %r3, {FR_FLAGS}(%r15)
    xc      {FR_INFO}(16,%r15), {FR_INFO}(%r15)
    .if \len0
    mvc     {FR_INFO}(\len0,%r15), \at0(%r1)
    .endif
    .if \len1
    mvc     {FR_INFO}+8(\len1,%r15), \at1(%r1)
    .endif
    xc      0(8,%r15), 0(%r15)      # back chain: the walker reads the frame instead
    la      %r2, {ABI_AREA}(%r15)
    larl    %r14, trap_return
    .endm

    .macro ENTRY name, save, old, handler, at0, len0, at1=0, len1=0
    .globl  \name
\name:
    stmg    %r0, %r15, {ALIAS}+\save
    lghi    %r1, {ALIAS}
    lghi    %r3, 0                  # flags: none
    tm      \old+1(%r1), 0x01       # PSW bit 15: problem state?
    jnz     1f
    # Both ends of the frame-to-be must be memory that can be stored to, else the stack has run
    # into its guard page (or the stack pointer is nonsense).
    lay     %r2, -1(%r15)
    tprot   0(%r2), 0
    jnz     2f
    lay     %r2, -{FRAME}(%r15)
    tprot   0(%r2), 0
    jz      3f
2:  lghi    %r3, {FLAG_NO_STACK}
    lg      %r15, {LC_EMERGENCY_STACK}(%r1)
    j       3f
1:  lg      %r15, {LC_KERNEL_STACK}(%r1)
3:  FRAME   \save, \old, \at0, \len0, \at1, \len1
    jg      \handler
    .endm

    # Program: ILC, code and DXC; translation-exception identification.
    ENTRY trap_program, {LC_SAVE_PROGRAM}, 0x150, s390x_program, 0x8c, 8, 0xa8, 8
    # Supervisor call: ILC and number.
    ENTRY trap_svc, {LC_SAVE_SVC}, 0x140, s390x_svc, 0x88, 4
    # External: parameter, CPU address and code.
    ENTRY trap_external, {LC_SAVE_EXTERNAL}, 0x130, s390x_external, 0x80, 8
    # I/O: subchannel and parameter; identification word.
    ENTRY trap_io, {LC_SAVE_IO}, 0x170, s390x_io, 0xb8, 8, 0xc0, 4

# A machine check may interrupt the entries above at any instruction, with any stack pointer: it
# runs on the emergency stack, and does not return.
    .globl  trap_machine_check
trap_machine_check:
    stmg    %r0, %r15, {ALIAS}+{LC_SAVE_MACHINE_CHECK}
    lghi    %r1, {ALIAS}
    lghi    %r3, 0
    lg      %r15, {LC_EMERGENCY_STACK}(%r1)
    # Machine-check interruption code.
    FRAME   {LC_SAVE_MACHINE_CHECK}, 0x160, 0xe8, 8, 0, 0
    jg      s390x_machine_check

# Restart of a running CPU: another CPU, or the operator (QEMU's `nmi`), wants to know what it does.
# It cannot be masked, so it is like a machine check.
    .globl  trap_restart
trap_restart:
    stmg    %r0, %r15, {ALIAS}+{LC_SAVE_RESTART}
    lghi    %r1, {ALIAS}
    lghi    %r3, 0
    lg      %r15, {LC_EMERGENCY_STACK}(%r1)
    FRAME   {LC_SAVE_RESTART}, 0x120, 0, 0, 0, 0
    jg      s390x_restart

# Program interruption before translation is on: low core is at 0, and there are no guard pages.
    .globl  trap_program_early
trap_program_early:
    stmg    %r0, %r15, {LC_SAVE_PROGRAM}
    lghi    %r1, 0
    lghi    %r3, 0
    FRAME   {LC_SAVE_PROGRAM}, 0x150, 0x8c, 8, 0xa8, 8
    jg      s390x_program

# Handlers return here, interrupts off: back through the frame. The back trace knows this address:
# a function that returns here has a trap frame above it.
    .globl  trap_return
trap_return:
    stnsm   8(%r15), 0xf8           # translation off
    mvc     {LC_RETURN_PSW}(16), {FR_PSW}(%r15)
    lmg     %r0, %r15, {FR_GPRS}(%r15)
    lpswe   {LC_RETURN_PSW}

# A CPU that was started (SIGP RESTART), translation off: its starter has set its prefix and
# filled its low core.
    .globl  restart_entry
restart_entry:
    lctlg   %c0, %c15, {LC_CONTROL}
    lg      %r15, {LC_KERNEL_STACK}
    aghi    %r15, -{ABI_AREA}
    xc      0(8,%r15), 0(%r15)
    stosm   8(%r15), 0x04           # translation on
    brasl   %r14, s390x_secondary   # never returns
