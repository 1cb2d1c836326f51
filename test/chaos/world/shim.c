/*
 * Preloaded into Redis, Postgres, engine and reconciler: a disk that is slow or full, a clock that is off. What
 * happens stands in a small file that is mapped into all of them, so it begins and ends while they run, and needs no
 * privilege. Only regular files have a slow or full disk; sockets and pipes are left alone. Monotonic time is never
 * changed: no machine's is.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The harness writes this: three little-endian 64-bit numbers. */
struct trouble {
  int64_t clock_ms;
  int64_t slow_us;
  int64_t full;
};

static const volatile struct trouble none;
static const volatile struct trouble *trouble;

static const volatile struct trouble *now(void) {
  if (!trouble) {
    const char *path = getenv("CHAOS_TROUBLE");
    const volatile struct trouble *found = &none;
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
      void *mapped = mmap(0, sizeof(struct trouble), PROT_READ, MAP_SHARED, fd, 0);
      if (mapped != MAP_FAILED) found = mapped;
      close(fd);
    }
    trouble = found;
  }
  return trouble;
}

static int is_file(int fd) {
  struct stat about;
  return fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
}

/* What the disk does before a write or a sync; 0 if it goes on. */
static int disk(int fd, int writes) {
  /* The pause of a slow disk comes with the sync, not with each write to the page cache. */
  int64_t slow_us = writes ? 0 : now()->slow_us;
  int full = writes && now()->full;
  if (!slow_us && !full) return 0;
  if (!is_file(fd)) return 0;
  if (slow_us) {
    int kept = errno;
    struct timespec pause = {slow_us / 1000000, slow_us % 1000000 * 1000};
    nanosleep(&pause, 0);
    errno = kept;
  }
  return full ? ENOSPC : 0;
}

#define REAL(name) \
  static __typeof__(&name) real; \
  if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define WRITES(type, name, parameters, arguments) \
  type name parameters { \
    REAL(name); \
    int refusal = disk(fd, 1); \
    if (refusal) { \
      errno = refusal; \
      return -1; \
    } \
    return real arguments; \
  }

#define SYNCS(name) \
  int name(int fd) { \
    REAL(name); \
    disk(fd, 0); \
    return real(fd); \
  }

#define RESERVES(name, off) \
  int name(int fd, off from, off length) { \
    REAL(name); \
    int refusal = disk(fd, 1); \
    return refusal ? refusal : real(fd, from, length); \
  }

WRITES(ssize_t, write, (int fd, const void *bytes, size_t count), (fd, bytes, count))
WRITES(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count))
WRITES(ssize_t, pwrite, (int fd, const void *bytes, size_t count, off_t at), (fd, bytes, count, at))
WRITES(ssize_t, pwrite64, (int fd, const void *bytes, size_t count, off64_t at), (fd, bytes, count, at))
WRITES(ssize_t, pwritev, (int fd, const struct iovec *parts, int count, off_t at), (fd, parts, count, at))
WRITES(ssize_t, pwritev64, (int fd, const struct iovec *parts, int count, off64_t at), (fd, parts, count, at))
SYNCS(fsync)
SYNCS(fdatasync)
RESERVES(posix_fallocate, off_t)
RESERVES(posix_fallocate64, off64_t)

int clock_gettime(clockid_t clock, struct timespec *time) {
  REAL(clock_gettime);
  int failed = real(clock, time);
  int64_t off_ms = failed ? 0 : now()->clock_ms;
  if (off_ms && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
    int64_t ns = (int64_t)time->tv_sec * 1000000000 + time->tv_nsec + off_ms * 1000000;
    time->tv_sec = ns / 1000000000;
    time->tv_nsec = ns % 1000000000;
  }
  return failed;
}

int gettimeofday(struct timeval *time, void *zone) {
  static int (*real)(struct timeval *, void *);
  if (!real) real = (int (*)(struct timeval *, void *))dlsym(RTLD_NEXT, "gettimeofday");
  int failed = real(time, zone);
  int64_t off_ms = failed || !time ? 0 : now()->clock_ms;
  if (off_ms) {
    int64_t us = (int64_t)time->tv_sec * 1000000 + time->tv_usec + off_ms * 1000;
    time->tv_sec = us / 1000000;
    time->tv_usec = us % 1000000;
  }
  return failed;
}

time_t time(time_t *out) {
  struct timespec whole;
  clock_gettime(CLOCK_REALTIME, &whole);
  if (out) *out = whole.tv_sec;
  return whole.tv_sec;
}
