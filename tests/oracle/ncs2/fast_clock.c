// For LD_PRELOAD: the monotonic clock runs 200 times as fast. The plugin looks for a stick for five seconds per model, which
// nothing can switch off; what it compiles does not depend on the clock.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    static int64_t start;
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    int status = real(clock, now);
    if (clock != CLOCK_MONOTONIC || status != 0) return status;
    int64_t nanoseconds = (int64_t)now->tv_sec * 1000000000 + now->tv_nsec;
    if (start == 0) start = nanoseconds;
    nanoseconds = start + (nanoseconds - start) * 200;
    now->tv_sec = (time_t)(nanoseconds / 1000000000);
    now->tv_nsec = (long)(nanoseconds % 1000000000);
    return 0;
}
