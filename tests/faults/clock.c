/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Gives the processes that it is preloaded into a clock that can be set without setting that of this machine.
 *
 * The file of FAULTS_CLOCK has pairs of nanoseconds: since when, by the real clock, and how far the clock was wrong from then on.
 * Times of files become what the kernel would have written with that clock. Clocks that nobody sets are left alone, as they are
 * when a real clock is set.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
#define STEPS 64

struct step { int64_t since, wrong; };
static volatile const struct step *steps;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("FAULTS_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *place = file < 0 ? MAP_FAILED : mmap(NULL, STEPS * sizeof *steps, PROT_READ, MAP_SHARED, file, 0);
    if (file >= 0)
        close(file);
    steps = place == MAP_FAILED ? NULL : place;
}

static int64_t shown(int64_t real)
{
    int64_t wrong = 0;
    for (int number = 0; steps && number < STEPS && steps[number].since && steps[number].since <= real; number++)
        wrong = steps[number].wrong;
    return real + wrong;
}

static void set(struct timespec *moment)
{
    int64_t time = shown(moment->tv_sec * SECOND + moment->tv_nsec);
    moment->tv_sec = time / SECOND;
    moment->tv_nsec = time % SECOND;
}

int clock_gettime(clockid_t clock, struct timespec *moment)
{
    int result = syscall(SYS_clock_gettime, clock, moment);
    if (!result && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        set(moment);
    return result;
}

int gettimeofday(struct timeval *restrict moment, void *restrict zone)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    moment->tv_sec = now.tv_sec;
    moment->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *place)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (place)
        *place = now.tv_sec;
    return now.tv_sec;
}

#define STAT(name, arguments, values) \
    int name arguments \
    { \
        static int (*real) arguments; \
        if (!real) \
            *(void **)&real = dlsym(RTLD_NEXT, #name); \
        int result = real values; \
        if (!result) { \
            set(&found->st_mtim); \
            set(&found->st_ctim); \
            set(&found->st_atim); \
        } \
        return result; \
    }

STAT(stat, (const char *restrict path, struct stat *restrict found), (path, found))
STAT(lstat, (const char *restrict path, struct stat *restrict found), (path, found))
STAT(fstat, (int file, struct stat *found), (file, found))
STAT(fstatat, (int folder, const char *restrict path, struct stat *restrict found, int flags), (folder, path, found, flags))
STAT(stat64, (const char *restrict path, struct stat64 *restrict found), (path, found))
STAT(lstat64, (const char *restrict path, struct stat64 *restrict found), (path, found))
STAT(fstat64, (int file, struct stat64 *found), (file, found))
STAT(fstatat64, (int folder, const char *restrict path, struct stat64 *restrict found, int flags), (folder, path, found, flags))
