/* Vector table, reset and fault handlers of a Cortex-M. The memory symbols come from link.ld. */
#include <stdint.h>

#include "console.h"
#include "semihost.h"

extern uint32_t __data_start[], __data_end[], __data_load[], __bss_start[], __bss_end[], __stack_limit[],
    __stack_top[];

int main(void);
void Reset_Handler(void);
void Fault_Handler(void);
void fault_report(uint32_t pc, uint32_t lr, uint32_t sp);

#define SCB_CFSR (*(volatile uint32_t *)0xE000ED28u)  /* configurable fault status */
#define SCB_CPACR (*(volatile uint32_t *)0xE000ED88u) /* coprocessor access control */

__attribute__((noreturn)) void Reset_Handler(void) {
#if defined(__ARM_FP)
    SCB_CPACR |= 0xFu << 20; /* full access to CP10 and CP11: the FPU */
    __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
    const uint32_t *from = __data_load;
    for (volatile uint32_t *to = __data_start; to < __data_end; to++) *to = *from++;
    for (volatile uint32_t *to = __bss_start; to < __bss_end; to++) *to = 0;
    semihost_exit((uint32_t)main());
}

__attribute__((noreturn, used)) void fault_report(uint32_t pc, uint32_t lr, uint32_t sp) {
    uint32_t exception;
    __asm__ volatile("mrs %0, ipsr" : "=r"(exception));
    if (sp < (uint32_t)(uintptr_t)__stack_limit) console_text("stack overflow: try `make clean run STACK=1M`\n");
    console_text("fault: exception ");
    console_unsigned(exception);
    console_text(", pc 0x");
    console_hex(pc, 8);
    console_text(", lr 0x");
    console_hex(lr, 8);
    console_text(", sp 0x");
    console_hex(sp, 8);
    console_text(", CFSR 0x");
    console_hex(SCB_CFSR, 8);
    console_text("\n");
    semihost_exit(99);
}

/* Takes pc and lr from the frame the core pushed (r0-r3, r12, lr, pc, xpsr) and reports on a fresh stack: the old one may
 * be what went wrong. */
__attribute__((naked)) void Fault_Handler(void) {
    __asm__ volatile(
        "mov r2, sp\n\t"
        "ldr r0, [r2, #24]\n\t"
        "ldr r1, [r2, #20]\n\t"
        "ldr r3, =__stack_top\n\t"
        "mov sp, r3\n\t"
        "b fault_report\n\t"
        ".ltorg");
}

__attribute__((section(".vectors"), used)) static const struct {
    void *stack;
    void (*handler[15])(void);
} vectors = {
    __stack_top,
    {Reset_Handler, Fault_Handler /* NMI */, Fault_Handler /* HardFault */, Fault_Handler /* MemManage */,
     Fault_Handler /* BusFault */, Fault_Handler /* UsageFault */, 0, 0, 0, 0, Fault_Handler /* SVCall */,
     Fault_Handler /* DebugMonitor */, 0, Fault_Handler /* PendSV */, Fault_Handler /* SysTick */},
};
