# The kernel's first instructions, at 0x10000.
#
# QEMU enters here with the PSW of an IPL: 64-bit addressing, translation off, everything masked,
# prefix 0. No firmware has run, the other CPUs are stopped, .bss is zero.
#
# The places at 0x408 and 0x480 behind the entry are QEMU's parameter area (the layout of Linux'
# head.S). It fills them in only where the image has bytes of its own, hence the explicit zeros.

    .section .head,"ax",@progbits
    .globl _start
_start:
    j       start

    .org    0x408
    .globl  PARAM_INITRD
PARAM_INITRD:                       # address and size of the initial RAM disk
    .quad   0, 0

    .org    0x480
    .globl  PARAM_CMDLINE
PARAM_CMDLINE:                      # command line, ends with NUL
    .fill   {CMDLINE_SIZE}, 1, 0

start:
    larl    %r15, boot_stack_end
    aghi    %r15, -{ABI_AREA}
    xc      0(8,%r15), 0(%r15)      # back chain: none
    brasl   %r14, s390x_boot        # never returns

    # First in .bss and aligned to its size, as every kernel stack is.
    .section .bss.stack,"aw",@nobits
    .balign {STACK_SIZE}
    .globl  boot_stack_end
    .skip   {STACK_SIZE}
boot_stack_end:
    .text
