# Calls into the firmware. Both run it with translation off, in its own byte order and width.

# i64 ppc64_opal(token r3, arguments *[7] r4, OPAL base r5, OPAL entry r6)
#
# OPAL wants: r0 = token, r2 = its base, arguments from r3, LR = return address; MSR big-endian,
# 64-bit, translation and external interrupts off. It returns in that state. Our stack may lie
# where real mode does not see it, so nothing touches it between the two changes of the MSR.
    .section .text.ppc64_opal, "ax"
    .globl ppc64_opal
ppc64_opal:
    mflr  %r0
    std   %r0, 16(%r1)
    mfcr  %r0
    std   %r0, 8(%r1)
    stdu  %r1, -96(%r1)
    std   %r2, 40(%r1)
    std   %r13, 48(%r1)
    std   %r30, 56(%r1)
    std   %r31, 64(%r1)
    mr    %r0, %r3
    mr    %r11, %r4
    mr    %r2, %r5
    mr    %r12, %r6
    mfmsr %r31
    li    %r10, 0
    mtmsrd %r10, 1                      # EE and RI off: HSRR0 and HSRR1 are ours
    ori   %r10, %r10, 0x8031            # EE, IR, DR, LE
    andc  %r30, %r31, %r10
    LA64  %r10, .Lopal_return
    mtlr  %r10
    ld    %r3, 0(%r11)
    ld    %r4, 8(%r11)
    ld    %r5, 16(%r11)
    ld    %r6, 24(%r11)
    ld    %r7, 32(%r11)
    ld    %r8, 40(%r11)
    ld    %r9, 48(%r11)
    mtspr HSRR0, %r12
    mtspr HSRR1, %r30
    hrfid
.Lopal_return:                          # big-endian, real mode
    be 0x429f0005                       # bcl     20, 31, .+4
    be 0x7d4802a6                       # mflr    r10
    be 0x394a0014                       # addi    r10, r10, 20       .Lopal_back
    be 0x7d5a4ba6                       # mthsrr0 r10
    be 0x7ffb4ba6                       # mthsrr1 r31
    be 0x4c000224                       # hrfid
.Lopal_back:
    ld    %r2, 40(%r1)
    ld    %r13, 48(%r1)
    ld    %r30, 56(%r1)
    ld    %r31, 64(%r1)
    addi  %r1, %r1, 96
    ld    %r0, 8(%r1)
    mtcr  %r0
    ld    %r0, 16(%r1)
    mtlr  %r0
    blr

# void ppc64_open_firmware(real address of the argument cells r3, entry r4)
#
# Open Firmware's client interface: big-endian, 32-bit, translation off, a stack below 4 GB. It may
# use every register but r1, so all that must survive is kept on that stack.
    .section .text.ppc64_open_firmware, "ax"
    .globl ppc64_open_firmware
ppc64_open_firmware:
    mflr  %r0
    std   %r0, 16(%r1)
    mfcr  %r0
    std   %r0, 8(%r1)
    mr    %r12, %r1
    LA64  %r11, ppc64_firmware_stack + FIRMWARE_STACK - 256
    clrldi %r1, %r11, 32
    std   %r12, 32(%r1)
    std   %r2, 40(%r1)
    std   %r13, 48(%r1)
    .irp n, 14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    std   %r\n, 8 * \n(%r1)
    .endr
    mfmsr %r10
    LA64  %r11, .Lof_return
    clrldi %r11, %r11, 32
    mtlr  %r11
    li    %r9, 1                        # LE off, SF off
    andc  %r10, %r10, %r9
    clrldi %r10, %r10, 1
    mtspr SRR0, %r4
    mtspr SRR1, %r10
    rfid
.Lof_return:
    ENTER_LE64
    LA64  %r11, .Lof_linked             # back to the link address
    mtctr %r11
    bctr
.Lof_linked:
    LA64  %r1, ppc64_firmware_stack + FIRMWARE_STACK - 256
    .irp n, 14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld    %r\n, 8 * \n(%r1)
    .endr
    ld    %r2, 40(%r1)
    ld    %r13, 48(%r1)
    ld    %r1, 32(%r1)
    ld    %r0, 8(%r1)
    mtcr  %r0
    ld    %r0, 16(%r1)
    mtlr  %r0
    blr
