/*
 * A disk that is taped, or bad. Preloaded into the daemon it stands between the program and the kernel, for the files
 * below one directory and no others.
 *
 *   DISK_UNDER  the directory, absolute
 *   DISK_TAPE   a file that gets every change and every sync, in order (read back by tests/crash/tape.rs)
 *   DISK_FAULT  a file that is looked into at every call: "slow 300": each sync takes 300 ms longer;
 *               "refuse 30": what writes fails with this errno; anything else, or no file: a good disk
 *
 * On the tape: one letter, two numbers of 8 bytes, a length of 4 bytes, and so many bytes, in the order of this machine.
 *   O inode, is a directory: opened, with its path     T inode, length: cut or grown
 *   W inode, offset: written, with the bytes           S inode: synced
 *   M inode: directory made, with its path             R: renamed, both paths with a zero byte between
 *   U: name removed, with its path
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define EXPORT __attribute__((visibility("default")))

/* One call at a time while a tape runs: its order is the order of what happened. */
static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
static const char *under, *fault;
static int tape = -1;

__attribute__((constructor)) static void start(void) {
    under = getenv("DISK_UNDER");
    fault = getenv("DISK_FAULT");
    const char *to = getenv("DISK_TAPE");
    if (to) tape = (int)syscall(SYS_openat, AT_FDCWD, to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void enter(void) { if (tape >= 0) pthread_mutex_lock(&one); }
static void leave(void) { if (tape >= 0) pthread_mutex_unlock(&one); }

static void note(char op, uint64_t a, uint64_t b, const void *bytes, uint32_t length) {
    if (tape < 0) return;
    struct iovec parts[] = {{&op, 1}, {&a, 8}, {&b, 8}, {&length, 4}, {(void *)bytes, length}};
    if (syscall(SYS_writev, tape, parts, 5) != 21 + (long)length) abort(); /* a tape with a hole is worse than none */
}

static int is_below(const char *path) {
    size_t length = under ? strlen(under) : 0;
    return length && !strncmp(path, under, length) && (path[length] == '/' || !path[length]);
}

/* The path of an open file, if it is one of ours. */
static int our_path(int fd, char *path) {
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    return is_below(path);
}

static uint64_t inode(int fd) {
    struct stat at;
    return fstat(fd, &at) ? 0 : at.st_ino;
}

static int number(const char *what) {
    char text[32] = "";
    int fd = fault ? (int)syscall(SYS_openat, AT_FDCWD, fault, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return 0;
    ssize_t length = syscall(SYS_read, fd, text, sizeof text - 1);
    syscall(SYS_close, fd);
    size_t skip = strlen(what);
    return length > 0 && !strncmp(text, what, skip) ? atoi(text + skip) : 0;
}

/* What writes to one of our files asks first. */
static int refused(void) { int error = number("refuse "); if (error) errno = error; return error; }

static int opened(int fd, int flags) {
    char path[PATH_MAX];
    if (fd >= 0 && tape >= 0 && our_path(fd, path)) {
        struct stat at;
        if (!fstat(fd, &at) && (S_ISREG(at.st_mode) || S_ISDIR(at.st_mode))) {
            note('O', at.st_ino, S_ISDIR(at.st_mode), path, (uint32_t)strlen(path));
            if (flags & O_TRUNC) note('T', at.st_ino, 0, "", 0);
        }
    }
    return fd;
}

static int open_at(int dir, const char *path, int flags, mode_t mode) {
    if ((flags & (O_ACCMODE | O_CREAT)) && is_below(path) && refused()) return -1;
    enter();
    int fd = opened(REAL(openat)(dir, path, flags, mode), flags);
    leave();
    return fd;
}

#define MODE mode_t mode = 0; if (flags & O_CREAT) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }
EXPORT int open(const char *path, int flags, ...) { MODE return open_at(AT_FDCWD, path, flags, mode); }
EXPORT int open64(const char *path, int flags, ...) { MODE return open_at(AT_FDCWD, path, flags | O_LARGEFILE, mode); }
EXPORT int openat(int dir, const char *path, int flags, ...) { MODE return open_at(dir, path, flags, mode); }
EXPORT int openat64(int dir, const char *path, int flags, ...) { MODE return open_at(dir, path, flags | O_LARGEFILE, mode); }

static ssize_t write_at(int fd, const void *bytes, size_t length, off_t offset, int moves) {
    char path[PATH_MAX];
    int ours = (tape >= 0 || fault) && our_path(fd, path);
    if (ours && refused()) return -1;
    if (!ours) return moves ? syscall(SYS_write, fd, bytes, length) : syscall(SYS_pwrite64, fd, bytes, length, offset);
    enter();
    ssize_t done = moves ? syscall(SYS_write, fd, bytes, length) : syscall(SYS_pwrite64, fd, bytes, length, offset);
    if (done > 0) note('W', inode(fd), moves ? lseek(fd, 0, SEEK_CUR) - done : offset, bytes, (uint32_t)done);
    leave();
    return done;
}

EXPORT ssize_t write(int fd, const void *bytes, size_t length) { return write_at(fd, bytes, length, 0, 1); }
EXPORT ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return write_at(fd, bytes, length, at, 0); }
EXPORT ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t at) { return write_at(fd, bytes, length, at, 0); }

static int cut(int fd, off_t length) {
    char path[PATH_MAX];
    int ours = our_path(fd, path);
    if (ours && refused()) return -1;
    enter();
    int done = (int)syscall(SYS_ftruncate, fd, length);
    if (!done && ours) note('T', inode(fd), (uint64_t)length, "", 0);
    leave();
    return done;
}

EXPORT int ftruncate(int fd, off_t length) { return cut(fd, length); }
EXPORT int ftruncate64(int fd, off_t length) { return cut(fd, length); }

static int sync_by(long call, int fd) {
    char path[PATH_MAX];
    int ours = our_path(fd, path), slow = ours ? number("slow ") : 0;
    if (slow) nanosleep(&(struct timespec){slow / 1000, slow % 1000 * 1000000L}, NULL);
    if (ours && refused()) return -1;
    enter();
    int done = (int)syscall(call, fd);
    if (!done && ours) note('S', inode(fd), 0, "", 0);
    leave();
    return done;
}

EXPORT int fsync(int fd) { return sync_by(SYS_fsync, fd); }
EXPORT int fdatasync(int fd) { return sync_by(SYS_fdatasync, fd); }

EXPORT int rename(const char *from, const char *to) {
    if (is_below(to) && refused()) return -1;
    enter();
    int done = REAL(rename)(from, to);
    if (!done && is_below(to)) {
        char both[2 * PATH_MAX];
        int length = snprintf(both, sizeof both, "%s%c%s", from, 0, to);
        note('R', 0, 0, both, (uint32_t)length);
    }
    leave();
    return done;
}

EXPORT int mkdir(const char *path, mode_t mode) {
    if (is_below(path) && refused()) return -1;
    enter();
    int done = REAL(mkdir)(path, mode);
    struct stat at;
    if (!done && is_below(path) && !stat(path, &at)) note('M', at.st_ino, 0, path, (uint32_t)strlen(path));
    leave();
    return done;
}

static int removed(int done, const char *path) {
    if (!done && is_below(path)) note('U', 0, 0, path, (uint32_t)strlen(path));
    return done;
}

EXPORT int unlink(const char *path) {
    if (is_below(path) && refused()) return -1;
    enter();
    int done = removed(REAL(unlink)(path), path);
    leave();
    return done;
}

EXPORT int rmdir(const char *path) {
    if (is_below(path) && refused()) return -1;
    enter();
    int done = removed(REAL(rmdir)(path), path);
    leave();
    return done;
}

EXPORT int unlinkat(int dir, const char *name, int flags) {
    char path[PATH_MAX] = "", whole[2 * PATH_MAX];
    if (name[0] != '/') our_path(dir, path);
    snprintf(whole, sizeof whole, "%s%s%s", path, name[0] == '/' ? "" : "/", name);
    if (is_below(whole) && refused()) return -1;
    enter();
    int done = removed(REAL(unlinkat)(dir, name, flags), whole);
    leave();
    return done;
}
