# Programs: going on as one, their registers that the kernel never uses, copies to and from them.

# void ppc64_enter(TrapFrame *r3): what the frame says. Everything on this stack but the frame is
# forgotten.
    .section .text.ppc64_enter, "ax"
    .globl ppc64_enter
ppc64_enter:
    addi  %r1, %r3, -F
    b     ppc64_return

# FP, VEC and VSX on, for the rest of the function; r0 = MSR before. The exceptions of floating point
# stay off: a program's FPSCR may hold one.
.macro FACILITIES_ON
    mfmsr %r0
    lis   %r12, (MSR_VEC | MSR_VSX) >> 16
    ori   %r12, %r12, MSR_FP
    or    %r12, %r12, %r0
    mtmsrd %r12
    isync
.endm

.macro FACILITIES_OFF
    mtmsrd %r0
    isync
.endm

# void ppc64_state_save(UserState *r3), void ppc64_state_restore(const UserState *r3)
#
# 64 vector-scalar registers, of which the first 32 contain the floating-point registers and the other
# 32 are the vector registers. stxv writes them as numbers of 128 bits in our byte order. The
# registers stay as they were.
    .section .text.ppc64_state, "ax"
    .globl ppc64_state_save, ppc64_state_restore
ppc64_state_save:
    FACILITIES_ON
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    stxv  \n, STATE_VSR + 16 * \n(%r3)
    .endr
    .irp n, 32,33,34,35,36,37,38,39,40,41,42,43,44,45,46,47,48,49,50,51,52,53,54,55,56,57,58,59,60,61,62,63
    stxv  \n, STATE_VSR + 16 * \n(%r3)
    .endr
    mffs  0
    stfd  0, STATE_FPSCR(%r3)
    mfvscr 0
    stxv  32, STATE_VSCR(%r3)
    lxv   0, STATE_VSR(%r3)
    lxv   32, STATE_VSR + 16 * 32(%r3)
    mfspr %r4, VRSAVE
    mfspr %r5, TAR
    std   %r4, STATE_VRSAVE(%r3)
    std   %r5, STATE_TAR(%r3)
    FACILITIES_OFF
    blr
ppc64_state_restore:
    FACILITIES_ON
    lxv   32, STATE_VSCR(%r3)
    mtvscr 0
    lfd   0, STATE_FPSCR(%r3)
    mtfsf 255, 0, 1, 0                  # all 64 bits
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    lxv   \n, STATE_VSR + 16 * \n(%r3)
    .endr
    .irp n, 32,33,34,35,36,37,38,39,40,41,42,43,44,45,46,47,48,49,50,51,52,53,54,55,56,57,58,59,60,61,62,63
    lxv   \n, STATE_VSR + 16 * \n(%r3)
    .endr
    ld    %r4, STATE_VRSAVE(%r3)
    ld    %r5, STATE_TAR(%r3)
    mtspr VRSAVE, %r4
    mtspr TAR, %r5
    FACILITIES_OFF
    blr

# u64 ppc64_fpscr(double *scratch r3): the FPSCR of the running program.
    .globl ppc64_fpscr
ppc64_fpscr:
    FACILITIES_ON
    stfd  0, 0(%r3)
    mffs  0
    stfd  0, 8(%r3)
    lfd   0, 0(%r3)
    ld    %r3, 8(%r3)
    FACILITIES_OFF
    blr

# void ppc64_copy(to r3, from r4, steps r5): 256 bytes a step, by 16 of those registers, which are put
# back. Interrupts are off meanwhile, so that nobody saves or changes them; a page takes some 9,000
# instructions, twice as many without them. Nothing is called, so the zone below r1 is free.
    .section .text.ppc64_copy, "ax"
    .globl ppc64_copy
ppc64_copy:
    mfmsr %r0
    lis   %r12, MSR_VSX >> 16
    or    %r12, %r12, %r0
    rldicl %r12, %r12, 48, 1            # MSR_EE is bit 48: to the front, off, and back
    rotldi %r12, %r12, 16
    mtmsrd %r12
    isync
    mtctr %r5
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    stxv  \n, 16 * \n - 256(%r1)
    .endr
1:
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    lxv   \n, 16 * \n(%r4)
    .endr
    addi  %r4, %r4, 256
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    stxv  \n, 16 * \n(%r3)
    .endr
    addi  %r3, %r3, 256
    bdnz  1b
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    lxv   \n, 16 * \n - 256(%r1)
    .endr
    mtmsrd %r0
    isync
    blr

# u64 ppc64_from_user(to r3, from r4, bytes r5, Outcome *r6)
# u64 ppc64_to_user(to r3, from r4, bytes r5, Outcome *r6)
#
# 0 if it went well; else 1, and the outcome says what happened, as with ppc64_probe_load. Only the
# accesses to the program's side are in the exception table: a fault on ours is the kernel's. (Any
# alignment will do: this is ordinary memory, in our byte order.)
.macro ACCESS in_table, instruction:vararg
.Laccess\@:
    \instruction
    .if \in_table
    .pushsection .exception_table, "a"
    .quad .Laccess\@, .Lcopy_failed
    .popsection
    .endif
.endm

.macro COPY load_may_fail, store_may_fail
    srdi. %r7, %r5, 5                   # 32 bytes at a time
    beq   2f
    mtctr %r7
1:  ACCESS \load_may_fail, ld    %r8, 0(%r4)
    ACCESS \load_may_fail, ld    %r9, 8(%r4)
    ACCESS \load_may_fail, ld    %r10, 16(%r4)
    ACCESS \load_may_fail, ld    %r11, 24(%r4)
    ACCESS \store_may_fail, std  %r8, 0(%r3)
    ACCESS \store_may_fail, std  %r9, 8(%r3)
    ACCESS \store_may_fail, std  %r10, 16(%r3)
    ACCESS \store_may_fail, std  %r11, 24(%r3)
    addi  %r4, %r4, 32
    addi  %r3, %r3, 32
    bdnz  1b
2:  rldicl. %r7, %r5, 61, 62            # 8, up to three times
    beq   4f
    mtctr %r7
3:  ACCESS \load_may_fail, ld    %r8, 0(%r4)
    ACCESS \store_may_fail, std  %r8, 0(%r3)
    addi  %r4, %r4, 8
    addi  %r3, %r3, 8
    bdnz  3b
4:  clrldi. %r7, %r5, 61                # single ones
    beq   6f
    mtctr %r7
5:  ACCESS \load_may_fail, lbz   %r8, 0(%r4)
    ACCESS \store_may_fail, stb  %r8, 0(%r3)
    addi  %r4, %r4, 1
    addi  %r3, %r3, 1
    bdnz  5b
6:  li    %r3, 0
    blr
.endm

    .section .text.ppc64_usercopy, "ax"
    .globl ppc64_from_user, ppc64_to_user
ppc64_from_user:
    COPY 1, 0
ppc64_to_user:
    COPY 0, 1
.Lcopy_failed:
    std   %r9, 0(%r6)
    std   %r10, 8(%r6)
    std   %r11, 16(%r6)
    li    %r3, 1
    blr
