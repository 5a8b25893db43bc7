/* A disk for tests, put in front of libc by LD_PRELOAD: it remembers what was synced, and fails where it is told to.
 *
 * What a power cut leaves is what had been synced. On fsync or fdatasync of a file its bytes are copied into a shadow
 * folder, under a name made of its inode and its time of birth; on fsync of a folder its list of names is. The test
 * rebuilds the folder from that (disk.rs). What sync_file_range or a close bring to the disk does not count.
 *
 * DISK_ROOT    only what lies below counts
 * DISK_SHADOW  where to remember; the real sync is left out then
 * DISK_LIES    syncs succeed and do nothing
 * DISK_DELAY   milliseconds that a sync takes
 * DISK_COUNT   which calls count: `s` syncs, `w` writes, `t` truncations, `n` changes of names, `r` opens and reads
 * DISK_AT      the number of the counted call at which it happens, from 1
 * DISK_TIMES   how many calls in a row
 * DISK_ERROR   the error number; none: the process ends at once
 * DISK_HIT     a file that is made when it has happened
 * DISK_FULL    while this file exists, nothing can be written
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *root, *shadow, *counted, *hit_file, *full_file;
static long at, times, fail_with, delay_ms, lies;
static atomic_long calls, copies;

static long number(const char *name, long otherwise) {
  const char *text = getenv(name);
  return text ? atol(text) : otherwise;
}

__attribute__((constructor)) static void begin(void) {
  root = getenv("DISK_ROOT");
  shadow = getenv("DISK_SHADOW");
  counted = getenv("DISK_COUNT");
  hit_file = getenv("DISK_HIT");
  full_file = getenv("DISK_FULL");
  at = number("DISK_AT", 0);
  times = number("DISK_TIMES", 1);
  fail_with = number("DISK_ERROR", 0);
  delay_ms = number("DISK_DELAY", 0);
  lies = number("DISK_LIES", 0);
}

/* The work of the shim itself goes past the hooks. */
static int sys_open(const char *path, int flags) { return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0644); }
static ssize_t sys_write(int fd, const void *bytes, size_t len) { return syscall(SYS_write, fd, bytes, len); }
static ssize_t sys_pread(int fd, void *bytes, size_t len, off_t from) { return syscall(SYS_pread64, fd, bytes, len, from); }

static int below(const char *path) {
  size_t len = root ? strlen(root) : 0;
  return path && len && !strncmp(path, root, len) && (path[len] == '/' || !path[len]);
}

static int is_ours(int fd) {
  char link[64], path[4096];
  if (!root || fd < 0) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t len = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
  if (len <= 0) return 0;
  path[len] = 0;
  return below(path);
}

/* Counts a call. Answers whether it has to fail, with errno set. */
static int fails(char kind) {
  if (kind == 'w' && full_file && syscall(SYS_faccessat, AT_FDCWD, full_file, F_OK, 0) == 0) {
    errno = ENOSPC;
    return 1;
  }
  if (!at || !counted || !strchr(counted, kind)) return 0;
  long call = atomic_fetch_add(&calls, 1) + 1;
  if (call < at || call >= at + times) return 0;
  if (hit_file) syscall(SYS_close, sys_open(hit_file, O_CREAT | O_WRONLY));
  if (!fail_with) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
  }
  errno = (int)fail_with;
  return 1;
}

static void identity(char *name, size_t size, const struct statx *file) {
  snprintf(name, size, "%llu-%lld%09u", (unsigned long long)file->stx_ino, (long long)file->stx_btime.tv_sec,
           file->stx_btime.tv_nsec);
}

static void die(const char *what) {
  dprintf(2, "disk.c: %s: %s\n", what, strerror(errno));
  _exit(70);
}

static void write_all(int to, const char *bytes, ssize_t len) {
  for (ssize_t done; len > 0; bytes += done, len -= done)
    if ((done = sys_write(to, bytes, (size_t)len)) <= 0) die("write the shadow");
}

static void copy_file(int from, int to) {
  char bytes[65536];
  off_t offset = 0;
  /* The file may be open for writing only. */
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", from);
  int again = sys_open(link, O_RDONLY);
  if (again < 0) die("open again");
  for (ssize_t len; (len = sys_pread(again, bytes, sizeof bytes, offset)) > 0; offset += len) write_all(to, bytes, len);
  syscall(SYS_close, again);
}

static void copy_names(int from, int to) {
  char link[64], line[4096 + 64], name[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", from);
  DIR *folder = opendir(link);
  if (!folder) die("list a folder");
  for (struct dirent *entry; (entry = readdir(folder));) {
    struct statx file;
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    if (syscall(SYS_statx, dirfd(folder), entry->d_name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &file)) continue;
    identity(name, sizeof name, &file);
    int len = snprintf(line, sizeof line, "%s %c %s\n", name, S_ISDIR(file.stx_mode) ? 'd' : 'f', entry->d_name);
    write_all(to, line, len);
  }
  closedir(folder);
}

/* One at a time: of two threads that sync the same folder, the one that looked first must not be written down last. */
static pthread_mutex_t remembering = PTHREAD_MUTEX_INITIALIZER;

/* From now on, this is what a power cut leaves of the file. A copy that is not finished does not count. */
static void remember(int fd) {
  struct statx file;
  char name[64], temporary[4200], final[4200];
  if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &file)) die("look at a file");
  identity(name, sizeof name, &file);
  snprintf(temporary, sizeof temporary, "%s/copy-%d-%ld", shadow, getpid(), atomic_fetch_add(&copies, 1));
  snprintf(final, sizeof final, "%s/%s", shadow, name);
  int to = sys_open(temporary, O_CREAT | O_WRONLY | O_TRUNC);
  if (to < 0) die("make a copy");
  if (S_ISDIR(file.stx_mode)) copy_names(fd, to);
  else copy_file(fd, to);
  syscall(SYS_close, to);
  if (syscall(SYS_renameat, AT_FDCWD, temporary, AT_FDCWD, final)) die("name a copy");
}

static int synced(int fd, long call) {
  if (is_ours(fd)) {
    if (delay_ms) usleep((useconds_t)delay_ms * 1000);
    if (fails('s')) return -1;
    if (lies) return 0;
    if (shadow) {
      pthread_mutex_lock(&remembering);
      remember(fd);
      pthread_mutex_unlock(&remembering);
      return 0;
    }
  }
  return (int)syscall(call, fd);
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

#define REAL(name, ...) ({ static __typeof__(&name) real; if (!real) real = dlsym(RTLD_NEXT, #name); real(__VA_ARGS__); })

ssize_t write(int fd, const void *bytes, size_t len) {
  if (fd > 2 && is_ours(fd) && fails('w')) return -1;
  return sys_write(fd, bytes, len);
}
ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t to) {
  if (is_ours(fd) && fails('w')) return -1;
  return syscall(SYS_pwrite64, fd, bytes, len, to);
}
ssize_t pwrite(int fd, const void *bytes, size_t len, off_t to) { return pwrite64(fd, bytes, len, to); }
int ftruncate64(int fd, off64_t len) {
  if (is_ours(fd) && fails('t')) return -1;
  return (int)syscall(SYS_ftruncate, fd, len);
}
int ftruncate(int fd, off_t len) { return ftruncate64(fd, len); }

static int opened(int folder, const char *path, int flags, mode_t mode) {
  if (below(path) && fails(flags & O_CREAT ? 'n' : 'r')) return -1;
  return (int)syscall(SYS_openat, folder, path, flags, mode);
}
#define MODE(flags) ({ mode_t mode = 0; if ((flags) & (O_CREAT | O_TMPFILE)) { va_list list; va_start(list, flags); mode = va_arg(list, mode_t); va_end(list); } mode; })
int open64(const char *path, int flags, ...) { return opened(AT_FDCWD, path, flags | O_LARGEFILE, MODE(flags)); }
int open(const char *path, int flags, ...) { return opened(AT_FDCWD, path, flags, MODE(flags)); }
int openat64(int folder, const char *path, int flags, ...) { return opened(folder, path, flags | O_LARGEFILE, MODE(flags)); }
int openat(int folder, const char *path, int flags, ...) { return opened(folder, path, flags, MODE(flags)); }

ssize_t read(int fd, void *bytes, size_t len) {
  if (fd > 2 && is_ours(fd) && fails('r')) return -1;
  return syscall(SYS_read, fd, bytes, len);
}
ssize_t pread64(int fd, void *bytes, size_t len, off64_t from) {
  if (is_ours(fd) && fails('r')) return -1;
  return sys_pread(fd, bytes, len, from);
}
ssize_t pread(int fd, void *bytes, size_t len, off_t from) { return pread64(fd, bytes, len, from); }

int rename(const char *from, const char *to) { return below(to) && fails('n') ? -1 : REAL(rename, from, to); }
int unlink(const char *path) { return below(path) && fails('n') ? -1 : REAL(unlink, path); }
int unlinkat(int folder, const char *path, int flags) {
  if ((below(path) || is_ours(folder)) && fails('n')) return -1;
  return (int)syscall(SYS_unlinkat, folder, path, flags);
}
int mkdir(const char *path, mode_t mode) { return below(path) && fails('n') ? -1 : REAL(mkdir, path, mode); }
