# Programs for tests (arch/samples.rs says what each does). Constants: tests copy them to user memory.

    .section .rodata.samples,"a",@progbits
    .machine push
    .machine z13

    .macro SAMPLE name
    .balign 8
    .globl  sample_\name
sample_\name:
    .endm

# Labels from 90 on are this file's macros'.

SAMPLE call
    lghi    %r1, 300
    lghi    %r2, 11
    lghi    %r3, 22
    lghi    %r4, 33
    lghi    %r5, 44
    lghi    %r6, 55
    lghi    %r7, 66
    svc     0
    svc     1

# 0(%r15): the address; 8: r0-r14 as found; 128: how many were wrong.
    .macro CHECK table
    stmg    %r0, %r14, 8(%r15)
    larl    %r5, \table
    lghi    %r3, 0
    lghi    %r4, 15
90: cghi    %r3, 2                  # r2 holds the result
    je      91f
    sllg    %r7, %r3, 3
    lg      %r8, 0(%r7,%r5)
    cg      %r8, 8(%r7,%r15)
    je      91f
    agsi    128(%r15), 1
91: aghi    %r3, 1
    brctg   %r4, 90b
    .endm

SAMPLE preserved
    svc     7
    stg     %r2, 0(%r15)
    mvghi   128(%r15), 0
    lgr     %r9, %r15
    larl    %r1, 1f
    lmg     %r0, %r14, 0(%r1)
    svc     0
    CHECK   1f
    larl    %r1, 1f
    lmg     %r0, %r14, 0(%r1)
    lg      %r2, 0(%r15)
    ltgr    %r2, %r2                # condition code 2: positive
    lg      %r2, 0(%r2)
    jh      2f
    agsi    128(%r15), 1
2:  CHECK   1f
    lg      %r2, 128(%r15)
    svc     1
    .balign 8
1:  .quad   0x0101010101010101, 300, 0, 0x0404040404040404, 0x0505050505050505
    .quad   0x0606060606060606, 0x0707070707070707, 0x0808080808080808, 0x0909090909090909
    .quad   0x0a0a0a0a0a0a0a0a, 0x0b0b0b0b0b0b0b0b, 0x0c0c0c0c0c0c0c0c, 0x0d0d0d0d0d0d0d0d
    .quad   0x0e0e0e0e0e0e0e0e, 0x0f0f0f0f0f0f0f0f

SAMPLE load
    svc     7
    lg      %r2, 0(%r2)
    svc     1

SAMPLE store
    svc     7
    lgr     %r6, %r2
    svc     7
    stg     %r2, 0(%r6)
    lg      %r2, 0(%r6)
    svc     1

SAMPLE jump
    svc     7
    br      %r2

SAMPLE illegal
    .short  0
    lghi    %r2, 1234
    svc     1

# Jumps to the nth of the slots that begin at 1, n in r2.
    .macro TO_SLOT bits
    larl    %r1, 1f
    sllg    %r2, %r2, \bits
    la      %r1, 0(%r1,%r2)
    br      %r1
    .endm

    .macro SLOT text:vararg
    .balign 16
    \text
    j       9f
    .endm

# In the order of NAMES in samples.rs. (Not TPROT: QEMU refuses it to no program. It tells a program of
# its own space.) r3 = the stack, in case something is stored.
SAMPLE privileged
    svc     7
    la      %r3, 0(%r15)
    lghi    %r0, 0
    TO_SLOT 4
    .balign 16
1:
    SLOT lctlg %c1, %c1, 0(%r3)
    SLOT stctg %c0, %c0, 0(%r3)
    SLOT lpswe 0(%r3)
    SLOT lpsw 0(%r3)
    SLOT ssm 0(%r3)
    SLOT stnsm 0(%r3), 0xff
    SLOT stosm 0(%r3), 0
    SLOT ptlb
    SLOT sacf 0x300
    SLOT sacf 0x200
    SLOT spka 0
    SLOT sske %r4, %r3
    SLOT iske %r4, %r3
    SLOT lra %r4, 0(%r3)
    SLOT lura %r4, %r3
    SLOT stura %r4, %r3
    SLOT stidp 0(%r3)
    SLOT stap 0(%r3)
    SLOT stpx 0(%r3)
    SLOT spx 0(%r3)
    SLOT sigp %r4, %r5, 6
    SLOT sckc 0(%r3)
    SLOT spt 0(%r3)
    SLOT sck 0(%r3)
    SLOT ipte %r4, %r3
    SLOT idte %r4, %r5, %r3
    SLOT cspg %r4, %r6
    SLOT diag %r4, %r5, 0x308
    SLOT diag %r4, %r5, 0x500
    SLOT diag %r4, %r5, 0x44
    SLOT .insn rre, 0xb2200000, %r4, %r3
    SLOT ssch 0(%r3)
    SLOT tsch 0(%r3)
    SLOT mvcos 0(%r3), 0(%r3), %r4
    SLOT mvcp 0(%r4,%r3), 0(%r3), %r5
    .balign 16
9:  lghi    %r2, 1234
    svc     1

    .macro WAY
    .balign 64
    .endm

# r3 = p, r4 = a length, r5 = a place of ours.
SAMPLE attack
    svc     7
    lgr     %r6, %r2
    svc     7
    lgr     %r3, %r2
    lghi    %r4, 8
    la      %r5, 0(%r15)
    lgr     %r2, %r6
    TO_SLOT 6
    .balign 64
1:  sacf    0x100
    lg      %r0, 0(%r3)
    j       9f
WAY
    sacf    0x100
    stg     %r0, 0(%r3)
    j       9f
WAY
    lgfi    %r0, 0x000000c1         # second operand: home space
    mvcos   0(%r5), 0(%r3), %r4
    j       9f
WAY
    lgfi    %r0, 0x00c10000         # first operand: home space
    mvcos   0(%r3), 0(%r5), %r4
    j       9f
WAY
    lghi    %r0, 0
    mvcp    0(%r4,%r5), 0(%r3), %r0
    j       9f
WAY
    lghi    %r0, 0
    mvcs    0(%r4,%r3), 0(%r5), %r0
    j       9f
WAY
    lghi    %r1, -64
    stmg    %r0, %r15, 0(%r1)
    j       9f
WAY
    la      %r3, 1(%r3)
    br      %r3
WAY
    lghi    %r0, -1
    sfpc    %r0
    j       9f
WAY
    larl    %r1, 2f
2:  ex      %r0, 0(%r1)
    j       9f
WAY
9:  lghi    %r2, 1234
    svc     1

# r6 = n. Each ends at 9, in the mode in which programs begin.
SAMPLE strange
    svc     7
    lgr     %r6, %r2
    svc     7
    lgr     %r3, %r2
    lgr     %r2, %r6
    TO_SLOT 6
    .balign 64
1:  sacf    0x100
    svc     4
    sacf    0
    j       9f
WAY
    sam31
    svc     4
    sam64
    j       9f
WAY
    larl    %r1, 3f
    ex      %r0, 0(%r1)
    j       9f
WAY
    exrl    %r0, 3f
    j       9f
WAY
    lgr     %r15, %r3
    svc     4
    j       9f
WAY
    lghi    %r15, -1
    svc     4
    j       9f
WAY
    lghi    %r15, -1
    lgfi    %r1, 30000000
4:  brctg   %r1, 4b
    j       9f
WAY
    sacf    0x100
    lgfi    %r1, 30000000
5:  brctg   %r1, 5b
    sacf    0
    j       9f
WAY
    lghi    %r15, 0
    svc     4
    j       9f
WAY
9:  lgr     %r2, %r6
    svc     1
3:  svc     4

# r6 = the seed; the nth vector register has (n + 1) times the seed on the left, its complement on the
# right; access registers have the seed's word and their number.
    .macro EXPECTED
    agr     %r7, %r6
    lghi    %r8, -1
    xgr     %r8, %r7
    .endm

SAMPLE float
    svc     7
    lgr     %r6, %r2
    lghi    %r7, 0
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    EXPECTED
    vlvgp   %v\n, %r7, %r8
    .endr
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    aghi    %r7, 1
    sar     %a\n, %r7
    .endr
    # Flags and rounding mode.
    lgr     %r12, %r6
    nilf    %r12, 0xf3
    nilh    %r12, 0
    lgr     %r8, %r12
    sllg    %r8, %r8, 16
    nihf    %r8, 0
    nilf    %r8, 0x00f00000
    nilf    %r12, 3
    ogr     %r12, %r8
    sfpc    %r12
    lghi    %r11, 0                 # wrong ones
1:  lghi    %r10, 500
2:  lghi    %r7, 0
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    EXPECTED
    vlgvg   %r9, %v\n, 0
    cgrje   %r9, %r7, 92f
    aghi    %r11, 1
92: vlgvg   %r9, %v\n, 1
    cgrje   %r9, %r8, 93f
    aghi    %r11, 1
93:
    .endr
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    aghi    %r7, 1
    ear     %r9, %a\n
    crje    %r9, %r7, 94f
    aghi    %r11, 1
94:
    .endr
    efpc    %r9
    crje    %r9, %r12, 3f
    aghi    %r11, 1
3:  brctg   %r10, 2b
    svc     7
    ltgr    %r2, %r2
    jz      1b
    lgr     %r2, %r11
    svc     1

SAMPLE spin
    svc     7
1:  ltg     %r3, 0(%r2)
    jz      1b
    lgr     %r2, %r3
    svc     1

SAMPLE tls
    ear     %r2, %a0
    sllg    %r2, %r2, 32
    ear     %r2, %a1
    svc     1

SAMPLE handler
    lgr     %r13, %r3
    svc     4
    lgr     %r2, %r13
    svc     4
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    vgbm    %v\n, 0x5555
    .endr
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13
    lghi    %r\n, -1
    .endr
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    sar     %a\n, %r0
    .endr
    lghi    %r1, 2
    sfpc    %r1
    br      %r14

# Mistakes. Each ends at FAIL if it is none. (No fixed-point overflow: QEMU ignores
# that mask. No decimals: it has no such instructions. No odd addresses: it
# executes there.)
    .macro FAIL
    lghi    %r2, 1234
    svc     1
    .endm

    .macro TRAPS                    # all IEEE exceptions trap
    llilh   %r1, 0xf800
    sfpc    %r1
    .endm

SAMPLE divide
    lghi    %r0, 0
    lghi    %r1, 1
    lghi    %r3, 0
    dsgr    %r0, %r3
    FAIL

SAMPLE zero_by_zero
    TRAPS
    lzdr    %f9
    ddbr    %f9, %f9
    FAIL

SAMPLE by_zero
    TRAPS
    lghi    %r1, 1
    cdgbr   %f0, %r1
    lzdr    %f2
    ddbr    %f0, %f2
    FAIL

SAMPLE overflow
    TRAPS
    larl    %r1, 1f
    ld      %f0, 0(%r1)
    adbr    %f0, %f0
    FAIL
    .balign 8
1:  .quad   0x7fefffffffffffff

SAMPLE underflow
    TRAPS
    larl    %r1, 1f
    ld      %f0, 0(%r1)
    mdbr    %f0, %f0
    FAIL
    .balign 8
1:  .quad   0x0010000000000001

SAMPLE inexact
    TRAPS
    lghi    %r1, 1
    cdgbr   %f0, %r1
    lghi    %r1, 3
    cdgbr   %f2, %r1
    ddbr    %f0, %f2
    FAIL

SAMPLE vector
    TRAPS
    vzero   %v17
    vfddb   %v18, %v17, %v17
    FAIL

SAMPLE compare_and_trap
    cgrte   %r3, %r3
    FAIL

SAMPLE odd_register
    .long   0xb9870013              # dlgr %r1, %r3
    FAIL

SAMPLE execute
    larl    %r1, 1f
1:  ex      %r0, 0(%r1)
    FAIL

SAMPLE ptlb
    ptlb
    FAIL

SAMPLE end
    .machine pop
    .text
