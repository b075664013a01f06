# void *memcpy(void *to r3, const void *from r4, size_t bytes r5)
#
# What the compiler calls for values of some size. The one of Rust's own library takes twice as long: it
# does not know that this CPU loads and stores doublewords at any alignment.
    .section .text.memcpy, "ax"
    .globl memcpy
memcpy:
    mr    %r6, %r3                      # r3 is the result
    srdi. %r7, %r5, 6                   # 64 bytes at a time
    beq   2f
    mtctr %r7
1:
    .irp n, 0,32
    ld    %r7, \n(%r4)
    ld    %r8, \n + 8(%r4)
    ld    %r9, \n + 16(%r4)
    ld    %r10, \n + 24(%r4)
    std   %r7, \n(%r6)
    std   %r8, \n + 8(%r6)
    std   %r9, \n + 16(%r6)
    std   %r10, \n + 24(%r6)
    .endr
    addi  %r4, %r4, 64
    addi  %r6, %r6, 64
    bdnz  1b
2:  rldicl. %r7, %r5, 61, 61            # 8, up to seven times
    beq   4f
    mtctr %r7
3:  ld    %r8, 0(%r4)
    addi  %r4, %r4, 8
    std   %r8, 0(%r6)
    addi  %r6, %r6, 8
    bdnz  3b
4:  clrldi. %r7, %r5, 61                # single ones
    beqlr
    mtctr %r7
5:  lbz   %r8, 0(%r4)
    addi  %r4, %r4, 1
    stb   %r8, 0(%r6)
    addi  %r6, %r6, 1
    bdnz  5b
    blr
