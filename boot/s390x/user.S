# Programs' registers, and the way to a program that is not a way back.

    .text
    .machine push
    .machine z13                    # vector mnemonics

# user_save(state: *mut UserState), user_restore(state: *const UserState)
    .globl  user_save
user_save:
    vstm    %v0, %v15, 0(%r2)
    vstm    %v16, %v31, 256(%r2)
    stfpc   {FPC}(%r2)
    stam    %a0, %a15, {ACCESS}(%r2)
    br      %r14

    .globl  user_restore
user_restore:
    vlm     %v0, %v15, 0(%r2)
    vlm     %v16, %v31, 256(%r2)
    lfpc    {FPC}(%r2)
    lam     %a0, %a15, {ACCESS}(%r2)
    br      %r14

    .machine pop

# user_enter(frame: *const TrapFrame): as trap_return, from a frame anywhere in memory.
    .globl  user_enter
user_enter:
    stnsm   8(%r15), 0xf8           # translation off
    mvc     {LC_RETURN_PSW}(16), {PSW}(%r2)
    lmg     %r0, %r15, {GPRS}(%r2)
    lpswe   {LC_RETURN_PSW}
