/* As if the machine had been suspended for an hour once the file that DISTLOCK_TEST_SUSPENDED names exists:
   the clock that counts suspension is ahead by that, all others are as they are. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = (int)syscall(SYS_clock_gettime, clock, time);
    const char *marker = getenv("DISTLOCK_TEST_SUSPENDED");
    if (result == 0 && clock == CLOCK_BOOTTIME && marker && access(marker, F_OK) == 0)
        time->tv_sec += 3600;
    return result;
}
