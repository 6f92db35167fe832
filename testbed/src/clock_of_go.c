/* The wall clock of a program of Go, ahead of the machine's by as many seconds as the file `clock`
   says in the folder that it runs in. Such a program asks no C library. It calls functions that the
   kernel has mapped, and the auxiliary vector says where: here, a copy of this library. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* No functions of other libraries: nobody links the copy. */
static inline long ask(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}

static inline long ahead(void) {
    char name[] = {'c', 'l', 'o', 'c', 'k', 0};
    char text[32];
    long file = ask(SYS_open, (long)name, O_RDONLY | O_CLOEXEC, 0);
    long length = ask(SYS_read, file, (long)text, sizeof text);
    long seconds = 0;
    ask(SYS_close, file, 0, 0);
    for (long at = 0; at < length; at++)
        if (text[at] >= '0' && text[at] <= '9')
            seconds = 10 * seconds + text[at] - '0';
    return length > 0 && text[0] == '-' ? -seconds : seconds;
}

int __vdso_clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)ask(SYS_clock_gettime, clock, (long)now, 0);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += ahead();
    return result;
}

int __vdso_gettimeofday(struct timeval *now, void *zone) {
    int result = (int)ask(SYS_gettimeofday, (long)now, (long)zone, 0);
    if (result == 0 && now)
        now->tv_sec += ahead();
    return result;
}

__attribute__((constructor)) static void begin(int argc, char **argv, char **environment) {
    Dl_info self;
    struct stat status;
    (void)argc, (void)argv;
    if (!dladdr((void *)begin, &self))
        return;
    int file = open(self.dli_fname, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &status))
        return;
    void *copy = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
    close(file);
    while (*environment)
        environment++;
    for (Elf64_auxv_t *entry = (Elf64_auxv_t *)(environment + 1); entry->a_type; entry++)
        if (entry->a_type == AT_SYSINFO_EHDR && copy != MAP_FAILED)
            entry->a_un.a_val = (unsigned long)copy;
}
