# Entry from the firmware, and of CPUs started later.
#
# Every firmware enters in its own way (any real address, MMU off, interrupts off):
#   skiboot   64-bit big-endian, the raw file at 0x20000000: r3 = device tree, r5 = 0,
#             r8, r9 = OPAL base and entry
#   SLOF, VOF 32-bit big-endian, at the link address: r5 = Open Firmware's entry
# MSR[HV] tells which. The file's first instruction runs in either byte order.
#
# Real mode ignores the upper four bits of an effective address (Power ISA v3.0B, Book III, on
# real addressing modes), so code linked at 0xc000... runs in it as it is: no relocation, and turning translation on
# later moves nothing. skiboot does not load the segments of the file but runs it where it lies,
# without .bss: the code below moves itself to its link address.

.macro be word                          # an instruction in big-endian byte order
    .byte (\word >> 24) & 0xff, (\word >> 16) & 0xff, (\word >> 8) & 0xff, \word & 0xff
.endm

# From any endianness and width to little-endian, 64-bit, MSR = HV (if it was on), SF, ME, LE. The
# MSR is made from constants: QEMU 10 enters pseries with FP on.
# Out: r13 = MSR at entry. Clobbers r10-r12, LR, SRR0, SRR1. Keeps r1-r9.
.macro ENTER_LE64
    .long 0x08000048                    # little-endian: tdi 0,r0,0x48, never traps; big: b .+8
    b     .Lle\@
    be 0x7da000a6                       # mfmsr  r13
    be 0x39600001                       # li     r11, 1
    be 0x796be0c6                       # sldi   r11, r11, 60       HV
    be 0x7d6b6838                       # and    r11, r11, r13
    be 0x39800001                       # li     r12, 1
    be 0x798cf806                       # sldi   r12, r12, 63       SF
    be 0x7d6b6378                       # or     r11, r11, r12
    be 0x616b1001                       # ori    r11, r11, 0x1001   ME, LE
    be 0x429f0005                       # bcl    20, 31, .+4
    be 0x7d4802a6                       # mflr   r10
    be 0x394a0014                       # addi   r10, r10, 20       .Lback
    be 0x7d5a03a6                       # mtsrr0 r10
    be 0x7d7b03a6                       # mtsrr1 r11
    be 0x4c000024                       # rfid
.Lback\@:
    b     .Ldone\@
.Lle\@:
    mfmsr %r13
.Ldone\@:
.endm

.macro LA64 reg, symbol                 # an absolute 64-bit address
    lis   \reg, \symbol@highest
    ori   \reg, \reg, \symbol@higher
    sldi  \reg, \reg, 32
    oris  \reg, \reg, \symbol@high
    ori   \reg, \reg, \symbol@l
.endm

    .section .head, "ax"
    .globl _start
_start:
    ENTER_LE64
    bcl   20, 31, .Lhere                # (this form does not upset the CPU's return prediction)
.Lhere:
    mflr  %r14
    addi  %r14, %r14, _start - .Lhere   # where this runs
    LA64  %r15, __kernel_start
    LA64  %r16, __image_end
    clrldi %r17, %r15, 4                # the link address as real mode sees it
    cmpld %r14, %r17
    beq   .Lin_place

    sub   %r17, %r16, %r15              # copy up to .bss; both ends are multiples of 128
    srdi  %r17, %r17, 3
    mtctr %r17
    addi  %r10, %r14, -8
    addi  %r11, %r15, -8
1:  ldu   %r12, 8(%r10)
    stdu  %r12, 8(%r11)
    bdnz  1b
2:  dcbst 0, %r15                       # make the copy visible to instruction fetch
    sync
    icbi  0, %r15
    addi  %r15, %r15, 128
    cmpld %r15, %r16
    blt   2b
    sync
    isync
.Lin_place:
    LA64  %r12, .Llinked
    mtctr %r12
    bctr

.Llinked:                               # at the link address: zero .bss, 128 bytes at a time
    LA64  %r10, __bss_start
    LA64  %r11, __bss_end
3:  dcbz  0, %r10
    addi  %r10, %r10, 128
    cmpld %r10, %r11
    blt   3b

    LA64  %r2, .TOC.
    LA64  %r1, ppc64_boot_stack + STACK_SIZE - 64
    li    %r0, 0
    std   %r0, 0(%r1)                   # the end of the back chain
    mr    %r4, %r5                      # ppc64_boot(r3, Open Firmware, OPAL base, OPAL entry, MSR)
    mr    %r5, %r8
    mr    %r6, %r9
    mr    %r7, %r13
    LA64  %r13, ppc64_boot_area         # r13 is the CPU's area from here on, for good
    mtspr SPRG0, %r13
    LA64  %r12, ppc64_boot
    mtctr %r12
    bctrl
    trap

# A CPU that was started. Its area is the one that holds its processor number; the firmware's r3
# (the number with OPAL, our argument with RTAS) is that number on both machines.
    .globl ppc64_secondary_entry
ppc64_secondary_entry:
    ENTER_LE64
    LA64  %r12, .Lsecondary
    mtctr %r12
    bctr
.Lsecondary:
    LA64  %r2, .TOC.
    LA64  %r10, ppc64_areas
    li    %r11, MAX_CPUS
    mtctr %r11
4:  ld    %r13, 0(%r10)
    addi  %r10, %r10, 8
    cmpdi %r13, 0
    beq   5f
    lwz   %r11, AREA_HARDWARE(%r13)
    cmplw %r11, %r3
    beq   6f
5:  bdnz  4b
7:  or    %r1, %r1, %r1                 # nobody asked for this CPU
    b     7b
6:  mtspr SPRG0, %r13
    addis %r1, %r13, STACK_SIZE >> 16   # the emergency stack, in the area's upper part
    addi  %r1, %r1, -64
    li    %r0, 0
    std   %r0, 0(%r1)
    LA64  %r12, ppc64_secondary
    mtctr %r12
    bctrl
    trap

# ppc64_on_stack(end of stack r3, function r4, argument r5): leaves this stack for good.
    .section .text.ppc64_on_stack, "ax"
    .globl ppc64_on_stack
ppc64_on_stack:
    addi  %r1, %r3, -64
    li    %r0, 0
    std   %r0, 0(%r1)
    mr    %r3, %r5
    mr    %r12, %r4
    mtctr %r12
    bctrl
    trap
