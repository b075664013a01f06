# Switching threads.

    .text

# switch_stack(save: *mut Context, load: *const Context): saves the callee's registers in the
# caller's register save area and the stack pointer in `save`, continues on the stack in `load`.
# Interruptions of problem state will use the new thread's stack from its end on.
    .globl  switch_stack
switch_stack:
    stmg    %r6, %r15, 48(%r15)
    stg     %r15, {CONTEXT_SP}(%r2)
    lg      %r1, {CONTEXT_END}(%r3)
    stg     %r1, {ALIAS_KERNEL_STACK}
    lg      %r15, {CONTEXT_SP}(%r3)
    lmg     %r6, %r15, 48(%r15)
    br      %r14

# First instructions of a thread: r6 = entry, r7 = argument.
    .globl  thread_start
thread_start:
    lgr     %r2, %r7
    basr    %r14, %r6               # never returns
    j       .
