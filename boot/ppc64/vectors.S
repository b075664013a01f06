# Interrupt entry and exit.
#
# The code from ppc64_vectors to ppc64_vectors_end does not depend on where it lies. It is copied
# to real 0 (interrupts that turn translation off: all before it is on; system reset and machine
# check always) and to real 0x4000, where LPCR[AIL] = 3 sends the others at
# 0xc000000000004000 + offset with translation left on (Power ISA v3.0B, Book III, LPCR[AIL]).
#
# r13 is the CPU's area (area.rs) whenever the kernel runs, SPRG0 holds it too. A return to the
# kernel does not restore r13: the thread may be on another CPU by then. A return to a program does:
# there r13 is the thread pointer.
#
# What interrupts a program begins at the end of its thread's kernel stack, which the area knows.
#
# What interrupts the kernel stays on its stack. The frame goes below the protected zone of the interrupted function (288 bytes below r1,
# ELFv2 ABI 2.2.3.4), with a marker in the word of its header that no callee writes, so that a back
# trace knows it. A stack without room is not touched: the frame then goes on the CPU's emergency
# stack, as it does when translation is off and the stack cannot be seen without.

# bit 0: the state is in HSRR0 and HSRR1; bit 1: on the emergency stack
.set IN_HSRR, 1
.set ON_EMERGENCY, 2

.macro VECTOR offset, flags=0
    .org  ppc64_vectors + \offset
    mtspr SPRG2, %r13
    mfspr %r13, SPRG0
    std   %r12, AREA_R12(%r13)
    li    %r12, \offset + \flags
    b     .Lcommon
.endm

    .section .text.ppc64_vectors, "ax"
    .balign 256
    .globl ppc64_vectors, ppc64_vectors_end
ppc64_vectors:
    VECTOR 0x100                        # system reset
    VECTOR 0x200                        # machine check
    VECTOR 0x300                        # data storage
    VECTOR 0x380                        # data segment
    VECTOR 0x400                        # instruction storage
    VECTOR 0x480                        # instruction segment
    VECTOR 0x500, IN_HSRR               # external; the copy for pseries gets SRR0 and SRR1
    VECTOR 0x600                        # alignment
    VECTOR 0x700                        # program
    VECTOR 0x800                        # floating-point unavailable
    VECTOR 0x900                        # decrementer
    VECTOR 0x980, IN_HSRR               # hypervisor decrementer
    VECTOR 0xa00                        # directed privileged doorbell
    .org  ppc64_vectors + 0xc00         # system call
    mtspr SPRG2, %r13
    mfspr %r13, SPRG0
    std   %r12, AREA_R12(%r13)
    b     .Lcall
    VECTOR 0xd00                        # trace
    VECTOR 0xe00, IN_HSRR               # hypervisor data storage
    VECTOR 0xe20, IN_HSRR               # hypervisor instruction storage
    VECTOR 0xe40, IN_HSRR               # hypervisor emulation assistance
    VECTOR 0xe60, IN_HSRR               # hypervisor maintenance
    VECTOR 0xe80, IN_HSRR               # directed hypervisor doorbell
    VECTOR 0xea0, IN_HSRR               # hypervisor virtualization
    VECTOR 0xf00                        # performance monitor
    VECTOR 0xf20                        # vector unavailable
    VECTOR 0xf40                        # VSX unavailable
    VECTOR 0xf60                        # facility unavailable
    VECTOR 0xf80, IN_HSRR               # hypervisor facility unavailable

    .org  ppc64_vectors + 0x1000
.Lcommon:
    std   %r11, AREA_R11(%r13)
    std   %r10, AREA_R10(%r13)
    mfcr  %r11
    std   %r11, AREA_CR(%r13)
    andi. %r10, %r12, IN_HSRR
    bne   1f
    mfspr %r10, SRR1
    b     2f
1:  mfspr %r10, HSRR1
2:  mfmsr %r11
    andi. %r10, %r10, MSR_PR
    beq   .Lkernel

    # A program. System reset and machine check turn translation off: its stack cannot be seen then.
    andi. %r11, %r11, MSR_DR
    beq   .Lno_room
    ld    %r11, AREA_THREAD_STACK(%r13)
    addi  %r11, %r11, -FRAME
    li    %r10, 0                       # the back chain ends here
    std   %r10, 0(%r11)
    b     .Lframe

.Lkernel:
    # Is there room on this stack? All stacks are STACK_SIZE blocks without their low part. If this
    # very code faulted before, on a stack pointer that leads nowhere, do not try again.
    ld    %r11, AREA_ENTERING(%r13)
    cmpdi %r11, 0
    bne   .Lno_room
    li    %r11, 1
    std   %r11, AREA_ENTERING(%r13)
    addi  %r11, %r1, -(FRAME + PROTECTED_ZONE)
    srdi  %r10, %r11, 52
    cmpldi %r10, LINEAR >> 52
    bne   .Lno_room                     # not a kernel address at all
    clrldi %r10, %r11, 64 - STACK_SHIFT
    cmpldi %r10, STACK_GUARD + STACK_SLACK
    blt   .Lno_room
    srdi  %r10, %r11, 48
    cmpldi %r10, STACK_AREA >> 48
    bne   .Lroom
    mfmsr %r10
    andi. %r10, %r10, MSR_DR
    bne   .Lroom
.Lno_room:
    addis %r11, %r13, STACK_SIZE >> 16
    addi  %r11, %r11, -FRAME
    ori   %r12, %r12, ON_EMERGENCY
.Lroom:
    std   %r1, 0(%r11)                  # the back chain goes through
.Lframe:
    std   %r1, F + 8(%r11)
    mr    %r1, %r11
    std   %r0, F(%r1)
    .irp n, 2,3,4,5,6,7,8,9
    std   %r\n, F + 8 * \n(%r1)
    .endr
    std   %r3, F + 328(%r1)             # the first argument, if it is a system call
    ld    %r3, AREA_R10(%r13)
    ld    %r4, AREA_R11(%r13)
    ld    %r5, AREA_R12(%r13)
    mfspr %r6, SPRG2
    std   %r3, F + 80(%r1)
    std   %r4, F + 88(%r1)
    std   %r5, F + 96(%r1)
    std   %r6, F + 104(%r1)
    .irp n, 14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    std   %r\n, F + 8 * \n(%r1)
    .endr

    andi. %r3, %r12, IN_HSRR
    bne   1f
    mfspr %r4, SRR0
    mfspr %r5, SRR1
    b     2f
1:  mfspr %r4, HSRR0
    mfspr %r5, HSRR1
2:  mflr  %r6
    mfctr %r7
    mfxer %r8
    ld    %r9, AREA_CR(%r13)
    mfspr %r10, DAR
    mfspr %r11, DSISR
    mfspr %r3, PPR
    or    %r2, %r2, %r2                 # medium priority, whatever the program's was
    std   %r3, F + 336(%r1)
    std   %r4, F + 256(%r1)
    std   %r5, F + 264(%r1)
    std   %r6, F + 272(%r1)
    std   %r7, F + 280(%r1)
    std   %r8, F + 288(%r1)
    std   %r9, F + 296(%r1)
    std   %r10, F + 304(%r1)
    std   %r11, F + 312(%r1)
    std   %r12, F + 320(%r1)
    li    %r3, 0
    std   %r3, AREA_ENTERING(%r13)
    li    %r3, 2                        # RI: another interrupt would do no harm from here on
    mtmsrd %r3, 1

    ld    %r12, AREA_TRAP(%r13)
.Lhandle:
    ld    %r2, AREA_TOC(%r13)
    ld    %r3, AREA_MARK(%r13)
    std   %r3, 24(%r1)
    addi  %r3, %r1, F
    mtctr %r12
    bctrl

    li    %r3, 0
    std   %r3, 24(%r1)                  # no other frame here may look like this one

    # Back to where it came from, interrupts off. rfid also serves what came by HSRR0 and HSRR1. Of
    # this stack nothing is used but the frame.
    .globl ppc64_return
ppc64_return:
    li    %r3, 0
    mtmsrd %r3, 1                       # RI off: SRR0 and SRR1 are about to be used
    ld    %r4, F + 256(%r1)
    ld    %r5, F + 264(%r1)
    ld    %r6, F + 272(%r1)
    ld    %r7, F + 280(%r1)
    ld    %r8, F + 288(%r1)
    ld    %r9, F + 296(%r1)
    mtspr SRR0, %r4
    mtspr SRR1, %r5
    mtlr  %r6
    mtctr %r7
    mtxer %r8
    addi  %r10, %r13, AREA_R10          # a reservation of the interrupted code must not survive
    stdcx. %r10, 0, %r10                # (in memory that nobody uses now)
    andi. %r10, %r5, MSR_PR
    beq   3f
    ld    %r10, F + 336(%r1)
    mtspr PPR, %r10
    ld    %r13, F + 104(%r1)
3:  mtcr  %r9
    ld    %r0, F(%r1)
    .irp n, 2,3,4,5,6,7,8,9,10,11,12
    ld    %r\n, F + 8 * \n(%r1)
    .endr
    .irp n, 14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld    %r\n, F + 8 * \n(%r1)
    .endr
    ld    %r1, F + 8(%r1)
    rfid

    # A system call: always a program's, with translation on, by SRR0 and SRR1, so nothing is asked.
.Lcall:
    ld    %r12, AREA_THREAD_STACK(%r13)
    std   %r1, F + 8 - FRAME(%r12)
    addi  %r1, %r12, -FRAME
    std   %r0, F(%r1)
    .irp n, 2,3,4,5,6,7,8,9,10,11
    std   %r\n, F + 8 * \n(%r1)
    .endr
    std   %r3, F + 328(%r1)             # the first argument
    ld    %r4, AREA_R12(%r13)
    mfspr %r5, SPRG2
    std   %r4, F + 96(%r1)
    std   %r5, F + 104(%r1)
    .irp n, 14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    std   %r\n, F + 8 * \n(%r1)
    .endr
    mfspr %r4, SRR0
    mfspr %r5, SRR1
    mflr  %r6
    mfctr %r7
    mfxer %r8
    mfcr  %r9
    mfspr %r10, PPR
    or    %r2, %r2, %r2                 # medium priority
    li    %r11, 0xc00
    li    %r12, 0
    std   %r4, F + 256(%r1)
    std   %r5, F + 264(%r1)
    std   %r6, F + 272(%r1)
    std   %r7, F + 280(%r1)
    std   %r8, F + 288(%r1)
    std   %r9, F + 296(%r1)
    std   %r12, F + 304(%r1)
    std   %r12, F + 312(%r1)
    std   %r11, F + 320(%r1)
    std   %r10, F + 336(%r1)
    std   %r12, 0(%r1)                  # the back chain ends here
    li    %r3, 2                        # RI
    mtmsrd %r3, 1
    ld    %r12, AREA_CALL(%r13)
    b     .Lhandle
ppc64_vectors_end:
