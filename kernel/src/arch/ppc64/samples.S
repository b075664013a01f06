# Programs for tests (arch/samples.rs says what each does). Constants: tests copy them to user memory.

    .section .rodata.samples, "a", @progbits

.macro SAMPLE name
    .balign 8
    .globl sample_\name
sample_\name:
.endm

.macro SYSTEM_CALL number
    li    %r0, \number
    sc
.endm

.macro PATTERN reg                      # 0x0101010101010101
    lis   \reg, 0x0101
    ori   \reg, \reg, 0x0101
    rldimi \reg, \reg, 32, 0
.endm

SAMPLE call
    li    %r3, 11
    li    %r4, 22
    li    %r5, 33
    li    %r6, 44
    li    %r7, 55
    li    %r8, 66
    SYSTEM_CALL 300
    bns   1f
    neg   %r3, %r3
1:  SYSTEM_CALL 1

# Register n has n times the pattern; r0 the number of the call, r3 what 0(r1) holds.
.set CR_VALUE, 0x25846973
.macro FILL
    PATTERN %r12
    .irp n, 2,4,5,6,7,8,9,10,11,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    mulli %r\n, %r12, \n
    .endr
    mulli %r0, %r12, 33
    mtlr  %r0
    mulli %r0, %r12, 34
    mtctr %r0
    lis   %r0, 0xa000                   # SO, CA
    mtxer %r0
    lis   %r0, CR_VALUE@h
    ori   %r0, %r0, CR_VALUE@l
    mtcr  %r0
    mulli %r12, %r12, 12
    li    %r0, 300
    ld    %r3, 0(%r1)
.endm

.macro EQUAL
    cmpd  %r4, %r5
    beq   90f
    addi  %r7, %r7, 1
90:
.endm

# 8(r1): r0-r31 as found; 264: CR; 272: how many were wrong. CR0 is looked at if its mask says so.
.macro CHECK cr_mask
    .irp n, 0,2,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    std   %r\n, 8 + 8 * \n(%r1)
    .endr
    mfcr  %r4
    std   %r4, 264(%r1)
    PATTERN %r6
    ld    %r7, 272(%r1)
    .irp n, 2,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld    %r4, 8 + 8 * \n(%r1)
    mulli %r5, %r6, \n
    EQUAL
    .endr
    ld    %r4, 8(%r1)
    li    %r5, 300
    EQUAL
    mflr  %r4
    mulli %r5, %r6, 33
    EQUAL
    mfctr %r4
    mulli %r5, %r6, 34
    EQUAL
    mfxer %r4
    srdi  %r4, %r4, 29
    clrldi %r4, %r4, 61
    li    %r5, 5
    EQUAL
    ld    %r4, 264(%r1)
    lis   %r5, \cr_mask
    ori   %r5, %r5, 0xffff
    clrldi %r5, %r5, 32
    and   %r4, %r4, %r5
    lis   %r8, CR_VALUE@h
    ori   %r8, %r8, CR_VALUE@l
    and   %r5, %r5, %r8
    EQUAL
    std   %r7, 272(%r1)
.endm

SAMPLE preserved
    SYSTEM_CALL 7
    std   %r3, 0(%r1)
    li    %r3, 0
    std   %r3, 272(%r1)
    FILL
    sc
    CHECK 0x0fff
    FILL
    ld    %r3, 0(%r3)
    CHECK 0xffff
    ld    %r3, 272(%r1)
    SYSTEM_CALL 1

SAMPLE load
    SYSTEM_CALL 7
    ld    %r3, 0(%r3)
    SYSTEM_CALL 1

SAMPLE store
    SYSTEM_CALL 7
    mr    %r31, %r3
    SYSTEM_CALL 7
    std   %r3, 0(%r31)
    ld    %r3, 0(%r31)
    SYSTEM_CALL 1

SAMPLE jump
    SYSTEM_CALL 7
    mtctr %r3
    bctr

SAMPLE illegal
    .long 0
    li    %r3, 1234
    SYSTEM_CALL 1

.macro SLOT text:vararg
    \text
    b     9f
.endm

# In the order of NAMES in samples.rs. (Not rfebb: QEMU 7.2 lets it go to EBBRR, which no program can
# set. Nor mtspr DSCR, its user's number being unknown there.) r4 = the stack, in case something is stored.
SAMPLE privileged
    SYSTEM_CALL 7
    bcl   20, 31, 1f
1:  mflr  %r5
    sldi  %r3, %r3, 3
    add   %r5, %r5, %r3
    addi  %r5, %r5, 2f - 1b
    mtctr %r5
    mr    %r4, %r1
    li    %r5, 0
    bctr
2:  SLOT mfmsr %r5
    SLOT mtmsr %r5
    SLOT mtmsrd %r5
    SLOT mtmsrd %r5, 1
    SLOT rfid
    SLOT hrfid
    SLOT .long 0x4c0000a4               # rfscv
    SLOT .long 0x44000001               # scv 0
    SLOT mfspr %r5, 272                 # SPRG0
    SLOT mtspr 272, %r5
    SLOT mtspr 274, %r5                 # SPRG2
    SLOT mtspr 26, %r5                  # SRR0
    SLOT mtspr 27, %r5                  # SRR1
    SLOT mtspr 314, %r5                 # HSRR0
    SLOT mfspr %r5, 19                  # DAR
    SLOT mtspr 22, %r5                  # DEC
    SLOT mtspr 284, %r5                 # TBL
    SLOT mtspr 48, %r5                  # PIDR
    SLOT mtspr 318, %r5                 # LPCR
    SLOT mtspr 319, %r5                 # LPIDR
    SLOT mtspr 464, %r5                 # PTCR
    SLOT mtspr 153, %r5                 # FSCR
    SLOT mtspr 190, %r5                 # HFSCR
    SLOT mtspr 1008, %r5                # HID0
    SLOT mtspr 29, %r5                  # AMR
    SLOT mtspr 61, %r5                  # IAMR
    SLOT mtspr 157, %r5                 # UAMOR
    SLOT mtspr 152, %r5                 # CTRL
    SLOT mtspr 187, %r5                 # CIABR
    SLOT mtspr 180, %r5                 # DAWR
    SLOT mtspr 855, %r5                 # PSSCR
    SLOT mfspr %r5, 1023                # PIR
    SLOT mtspr 795, %r5                 # MMCR0
    SLOT mtspr 806, %r5                 # BESCR
    SLOT mtspr 128, %r5                 # TFHAR
    SLOT .long 0x7c00051d               # tbegin.
    SLOT tlbie %r5, %r5
    SLOT .long 0x7c002a24               # tlbiel r5
    SLOT tlbsync
    SLOT slbia
    SLOT slbie %r5
    SLOT slbmte %r5, %r5
    SLOT slbmfee %r5, %r5
    SLOT stop
    SLOT .long 0x7c00299c               # msgsnd r5
    SLOT .long 0x7c00291c               # msgsndp r5
    SLOT .long 0x7c0006ec               # msgsync
    SLOT lbzcix %r5, 0, %r4
    SLOT stbcix %r5, 0, %r4
    SLOT ldcix %r5, 0, %r4
    SLOT .long 0x00000200               # attn
9:  li    %r3, 1234
    SYSTEM_CALL 1

# Jumps to the nth of the ways that begin at 2, 64 bytes each; n in r3.
.macro TO_WAY
    bcl   20, 31, 1f
1:  mflr  %r5
    sldi  %r6, %r3, 6
    add   %r5, %r5, %r6
    addi  %r5, %r5, 2f - 1b
    mtctr %r5
.endm

.macro WAY
    .balign 64
.endm

# r4 = the address in r3, in another quadrant; r5 is overwritten.
.macro QUADRANT number
    mr    %r4, %r3
    li    %r5, \number
    rldimi %r4, %r5, 62, 0
.endm

# In the order of ATTACKS in samples.rs. r3 = p.
SAMPLE attack
    SYSTEM_CALL 7
    mr    %r31, %r3
    SYSTEM_CALL 7
    mr    %r30, %r3
    mr    %r3, %r31
    TO_WAY
    mr    %r3, %r30
    bctr
    .balign 64
2:  QUADRANT 1
    ld    %r6, 0(%r4)
    b     9f
WAY
    QUADRANT 2
    ld    %r6, 0(%r4)
    b     9f
WAY
    QUADRANT 1
    std   %r6, 0(%r4)
    b     9f
WAY
    QUADRANT 2
    std   %r6, 0(%r4)
    b     9f
WAY
    QUADRANT 0
    ld    %r6, 0(%r4)
    b     9f
WAY
    QUADRANT 0
    std   %r6, 0(%r4)
    b     9f
WAY
    QUADRANT 1
    mtctr %r4
    bctr
WAY
    QUADRANT 2
    mtctr %r4
    bctr
WAY
    ori   %r3, %r3, 3
    mtctr %r3
    bctr
WAY
    dcbz  0, %r3
    b     9f
WAY
    ldarx %r6, 0, %r3
    b     9f
WAY
    lvx   0, 0, %r3
    b     9f
WAY
    stvx  0, 0, %r3
    b     9f
WAY
    li    %r6, -4                       # around the end of all addresses
    ld    %r6, 0(%r6)
    b     9f
WAY
9:  li    %r3, 1234
    SYSTEM_CALL 1

# In the order of STRANGE in samples.rs. r3 = p, r31 = n.
SAMPLE strange
    SYSTEM_CALL 7
    mr    %r31, %r3
    SYSTEM_CALL 7
    mr    %r30, %r3
    mr    %r3, %r31
    TO_WAY
    mr    %r3, %r30
    bctr
    .balign 64
2:  mr    %r1, %r3
    SYSTEM_CALL 4
    b     9f
WAY
    li    %r1, -1
    SYSTEM_CALL 4
    b     9f
WAY
    li    %r1, 0
    SYSTEM_CALL 4
    b     9f
WAY
    mr    %r1, %r3
    b     8f
WAY
    mr    %r13, %r3
    SYSTEM_CALL 4
    b     9f
WAY
    mr    %r13, %r3
    b     8f
WAY
    mtlr  %r3
    mtctr %r3
    mtspr 815, %r3                      # TAR
    SYSTEM_CALL 4
    b     9f
WAY
    li    %r4, -1
    mtcr  %r4
    mtxer %r4
    SYSTEM_CALL 4
    b     9f
WAY
    li    %r0, 4
    sc    1
    b     9f
WAY
    clrldi %r5, %r3, 4                  # the real address
    li    %r3, 0x40                     # H_LOGICAL_CI_STORE
    li    %r4, 8
    li    %r6, 0
    li    %r0, 4
    sc    1
    b     9f
WAY
8:  lis   %r4, 400                      # long enough to be interrupted
    mtctr %r4
    bdnz  .
9:  mr    %r3, %r31
    SYSTEM_CALL 1

# r14 = the seed, r15 = the last of its multiples, r16 its complement.
.macro EXPECTED
    add   %r15, %r15, %r14
    not   %r16, %r15
.endm

.macro WRONG_UNLESS a, b
    cmpd  \a, \b
    beq   91f
    addi  %r20, %r20, 1
91:
.endm

.macro FOR_VSR body:vararg
    li    %r15, 0
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    EXPECTED
    \body \n
    .endr
    .irp n, 32,33,34,35,36,37,38,39,40,41,42,43,44,45,46,47,48,49,50,51,52,53,54,55,56,57,58,59,60,61,62,63
    EXPECTED
    \body \n
    .endr
.endm

.macro FILL_VSR n
    mtvsrdd \n, %r15, %r16
.endm

.macro CHECK_VSR n
    mfvsrd %r4, \n
    WRONG_UNLESS %r4, %r15
    mfvsrld %r4, \n
    WRONG_UNLESS %r4, %r16
.endm

SAMPLE float
    SYSTEM_CALL 7
    mr    %r14, %r3
    # FPSCR: both rounding modes, and which exceptions interrupt; none happens here.
    andi. %r17, %r14, 0xfb
    rldimi %r17, %r14, 32, 29
    # VSCR: SAT and NJ.
    andi. %r18, %r14, 1
    rlwimi %r18, %r14, 15, 15, 15
    # VRSAVE, TAR.
    clrldi %r19, %r14, 32
    std   %r17, 0(%r1)
    lfd   0, 0(%r1)
    mtfsf 255, 0, 1, 0
    mtvsrdd 32, 0, %r18
    mtvscr 0
    mtspr 256, %r19
    mtspr 815, %r14
    FOR_VSR FILL_VSR
    li    %r20, 0                       # wrong ones
1:  li    %r22, 500
    mtctr %r22
2:  FOR_VSR CHECK_VSR
    mffs  0
    stfd  0, 0(%r1)
    ld    %r4, 0(%r1)
    WRONG_UNLESS %r4, %r17
    mfvscr 0
    mfvsrld %r4, 32
    WRONG_UNLESS %r4, %r18
    mfspr %r4, 256
    WRONG_UNLESS %r4, %r19
    mfspr %r4, 815
    WRONG_UNLESS %r4, %r14
    li    %r15, 0                       # the first and the 33rd were used
    EXPECTED
    FILL_VSR 0
    mulli %r15, %r14, 32
    EXPECTED
    FILL_VSR 32
    bdnz  2b
    SYSTEM_CALL 7
    cmpdi %r3, 0
    beq   1b
    mr    %r3, %r20
    SYSTEM_CALL 1

SAMPLE spin
    SYSTEM_CALL 7
1:  ld    %r4, 0(%r3)
    cmpdi %r4, 0
    beq   1b
    mr    %r3, %r4
    SYSTEM_CALL 1

SAMPLE tls
    mr    %r3, %r13
    SYSTEM_CALL 1

SAMPLE handler
    mr    %r31, %r4
    SYSTEM_CALL 4
    mr    %r3, %r31
    SYSTEM_CALL 4
    li    %r3, -1
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    mtvsrdd \n, %r3, %r3
    .endr
    .irp n, 32,33,34,35,36,37,38,39,40,41,42,43,44,45,46,47,48,49,50,51,52,53,54,55,56,57,58,59,60,61,62,63
    mtvsrdd \n, %r3, %r3
    .endr
    mtvscr 0
    mtfsfi 7, 3
    mtspr 256, %r3
    mtctr %r3
    mtxer %r3
    .irp n, 0,2,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    li    %r\n, -1
    .endr
    mtcr  %r3
    blr

# What else means a signal. VALUE is the upper half of a number.
.macro VALUE number, upper
    lis   %r4, \upper
    sldi  %r4, %r4, 32
    mtfprd \number, %r4
.endm

.macro FLOATS
    VALUE 0, 0
    VALUE 1, 0x3ff0                     # 1
    VALUE 2, 0x4008                     # 3
    VALUE 3, 0x7fe0                     # 2 ** 1023
    VALUE 4, 0x0010                     # 2 ** -1022
.endm

.macro MISTAKE name, instruction:vararg
SAMPLE \name
    addi  %r4, %r1, 1
    \instruction
    li    %r3, 1234
    SYSTEM_CALL 1
.endm

# With that exception enabled.
.macro FLOAT_MISTAKE name, field, bit, instruction:vararg
SAMPLE \name
    FLOATS
    mtfsfi \field, \bit
    \instruction
    li    %r3, 1234
    SYSTEM_CALL 1
.endm

MISTAKE trap, trap
MISTAKE scv, .long 0x44000001
MISTAKE mfmsr, mfmsr %r5
MISTAKE tbegin, .long 0x7c00051d
FLOAT_MISTAKE divide, 6, 1, fdiv 5, 1, 0
FLOAT_MISTAKE invalid, 6, 8, fdiv 5, 0, 0
FLOAT_MISTAKE overflow, 6, 4, fmul 5, 3, 3
FLOAT_MISTAKE underflow, 6, 2, fmul 5, 4, 4
FLOAT_MISTAKE inexact, 7, 8, fdiv 5, 1, 2
MISTAKE reserve, ldarx %r5, 0, %r4
MISTAKE multiple, .long 0xbbc40000      # lmw r30, 0(r4)

SAMPLE end
    .text
