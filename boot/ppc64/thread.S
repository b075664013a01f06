# Threads of the kernel: switching, starting; and single accesses that may fail.

# void ppc64_switch(Context to save *r3, Context to continue *r4)
#
# A context is the stack pointer and the stack's end. What a function must keep (ELFv2 ABI 2.2.2.1):
# r14-r31, CR2-CR4, LR (r1 is in the context; r2 is the same in the whole kernel, r13 is the CPU's).
# The fixed frame has the layout that ppc64_switch leaves behind and Context::new makes by hand:
# header 32 bytes, r14-r31 from 32.
    .section .text.ppc64_switch, "ax"
    .globl ppc64_switch
ppc64_switch:
    mflr  %r0
    std   %r0, 16(%r1)
    mfcr  %r0
    std   %r0, 8(%r1)
    stdu  %r1, -SWITCH_FRAME(%r1)
    .irp n, 14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    std   %r\n, 32 + 8 * (\n - 14)(%r1)
    .endr
    ld    %r5, AREA_THREAD_STACK(%r13)
    std   %r1, 0(%r3)
    std   %r5, 8(%r3)
    ld    %r1, 0(%r4)
    ld    %r5, 8(%r4)
    std   %r5, AREA_THREAD_STACK(%r13)
    .irp n, 14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld    %r\n, 32 + 8 * (\n - 14)(%r1)
    .endr
    addi  %r1, %r1, SWITCH_FRAME
    ld    %r0, 8(%r1)
    mtcrf 0x38, %r0
    ld    %r0, 16(%r1)
    mtlr  %r0
    blr

# Where a new thread begins: r30 = entry, r31 = argument.
    .section .text.ppc64_thread_start, "ax"
    .globl ppc64_thread_start
ppc64_thread_start:
    mr    %r3, %r31
    mr    %r12, %r30
    mtctr %r12
    bctrl
    trap                                # the entry never returns

# u64 ppc64_probe_load(address r3, Outcome *r4)
# u64 ppc64_probe_store(address r3, Outcome *r4, value r5)
# u64 ppc64_probe_call(address r3, Outcome *r4)
#
# 0 if it went well; else 1 and the outcome says what happened. The trap handler finds the
# instruction in the exception table and continues at the fix-up with r9 = vector, r10 = address,
# r11 = DSISR (or SRR1 of an instruction fetch).
    .section .text.ppc64_probe, "ax"
    .globl ppc64_probe_load, ppc64_probe_store, ppc64_probe_call
ppc64_probe_load:
.Lprobe_load:
    ld    %r3, 0(%r3)
    std   %r3, 0(%r4)
    li    %r3, 0
    blr
ppc64_probe_store:
.Lprobe_store:
    std   %r5, 0(%r3)
    li    %r3, 0
    blr
.Lprobe_failed:
    std   %r9, 0(%r4)
    std   %r10, 8(%r4)
    std   %r11, 16(%r4)
    li    %r3, 1
    blr
ppc64_probe_call:
    mflr  %r0
    std   %r0, 16(%r1)
    stdu  %r1, -48(%r1)
    std   %r4, 32(%r1)
    mr    %r12, %r3
    mtctr %r12
    bctrl
.Lprobe_called:
    addi  %r1, %r1, 48
    ld    %r0, 16(%r1)
    mtlr  %r0
    li    %r3, 0
    blr
.Lprobe_not_called:
    ld    %r4, 32(%r1)
    addi  %r1, %r1, 48
    ld    %r0, 16(%r1)
    mtlr  %r0
    b     .Lprobe_failed

    .section .exception_table, "a"
    .balign 16
    .quad .Lprobe_load, .Lprobe_failed
    .quad .Lprobe_store, .Lprobe_failed
    # A call of what cannot be executed fails at its target: found by its return address.
    .quad .Lprobe_called, .Lprobe_not_called

# void ppc64_attn(): ends the machine under QEMU 10 (HID0 bit set by the caller); returns where
# the instruction is unknown.
    .section .text.ppc64_attn, "ax"
    .globl ppc64_attn
ppc64_attn:
.Lattn:
    .long 0x00000200                    # attn
.Lno_attn:
    blr

    .section .exception_table, "a"
    .quad .Lattn, .Lno_attn
