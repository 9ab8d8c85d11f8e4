#include "store.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int store_find(char *path, size_t size)
{
    const char *given = getenv("MIGPROV_SIM_STATE");
    if (given && *given)
        return snprintf(path, size, "%s", given) < (int)size;
    Dl_info self;
    if (!dladdr((void *)store_find, &self) || !self.dli_fname)
        return 0;
    char file[PATH_MAX];
    if (snprintf(file, sizeof file, "%s", self.dli_fname) >= (int)sizeof file)
        return 0;
    char *slash = strrchr(file, '/');
    if (!slash)
        return snprintf(path, size, "../state") < (int)size;
    *slash = '\0';
    /* Not "DIR/lib/../state": lib may be a symbolic link, and then its parent is elsewhere. */
    slash = strrchr(file, '/');
    if (!slash)
        return snprintf(path, size, "%s/../state", file) < (int)size;
    *slash = '\0';
    return snprintf(path, size, "%s/state", file) < (int)size;
}

static int map(Store *store)
{
    struct stat status;
    store->writable = 1;
    store->fd = open(store->path, O_RDWR | O_CLOEXEC);
    if (store->fd < 0 && (errno == EACCES || errno == EPERM || errno == EROFS)) {
        store->writable = 0;
        store->fd = open(store->path, O_RDONLY | O_CLOEXEC);
    }
    if (store->fd < 0)
        return errno;
    if (fstat(store->fd, &status) != 0 || status.st_size != (off_t)sizeof(State)) {
        close(store->fd);
        return EINVAL;
    }
    store->owner = status.st_uid;
    int protection = PROT_READ | (store->writable ? PROT_WRITE : 0);
    store->state = mmap(NULL, sizeof(State), protection, MAP_SHARED, store->fd, 0);
    if (store->state == MAP_FAILED) {
        close(store->fd);
        return errno;
    }
    store->pid = getpid();
    store->device = status.st_dev;
    store->number = status.st_ino;
    return 0;
}

static int is_the_file(const Store *store, int fd)
{
    struct stat status;
    return fd >= 0 && fstat(fd, &status) == 0 && status.st_dev == store->device && status.st_ino == store->number;
}

int store_open(Store *store, const char *path)
{
    memset(store, 0, sizeof *store);
    if (snprintf(store->path, sizeof store->path, "%s", path) >= (int)sizeof store->path)
        return ENAMETOOLONG;
    int error = map(store);
    if (error)
        return error;
    const State *state = store->state;
    if (state->magic != SIM_MAGIC || state->layout != SIM_LAYOUT || state->size != sizeof(State)) {
        store_close(store);
        return EINVAL;
    }
    return 0;
}

void store_close(Store *store)
{
    if (!store->state)
        return;
    munmap(store->state, sizeof(State));
    if (is_the_file(store, store->fd))
        close(store->fd);
    store->state = NULL;
}

/* A file description of this process's own. The mapping is shared with a forked child and stays good; the lock is not
 * to be. Nor does the number mean our file for ever: a program that goes into the background closes all it finds. */
static void open_own(Store *store)
{
    int ours = is_the_file(store, store->fd), fd = -1;
    if (ours) { /* the file itself, wherever it and this process have moved */
        char self[40];
        snprintf(self, sizeof self, "/proc/self/fd/%d", store->fd);
        fd = open(self, O_RDONLY | O_CLOEXEC);
    }
    if (fd < 0)
        fd = open(store->path, O_RDONLY | O_CLOEXEC);
    if (!is_the_file(store, fd)) {
        if (fd >= 0)
            close(fd);
        return;
    }
    if (ours)
        close(store->fd);
    store->fd = fd;
    store->pid = getpid();
}

void store_lock(Store *store)
{
    if (store->pid != getpid() || !is_the_file(store, store->fd))
        open_own(store);
    while (flock(store->fd, LOCK_EX) != 0 && errno == EINTR)
        continue;
    store->root = geteuid() == 0 || geteuid() == store->owner;
}

void store_unlock(Store *store)
{
    flock(store->fd, LOCK_UN);
}

void store_log_write(Store *store, const char *call, int gpu, const char *arguments, int result)
{
    if (!store->writable)
        return;
    store->state->write_count++;
    char path[sizeof store->path + 8], line[512];
    snprintf(path, sizeof path, "%s.writes", store->path);
    int fd = open(path, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int length = snprintf(line, sizeof line,
                          "{\"time\": %lld.%06ld, \"pid\": %d, \"call\": \"%s\", \"gpu\": %d, \"args\": {%s}, "
                          "\"result\": %d}\n",
                          (long long)now.tv_sec, now.tv_nsec / 1000, (int)getpid(), call, gpu, arguments, result);
    /* A full disk loses the line; the count above stands. */
    ssize_t written = length > 0 && length < (int)sizeof line ? write(fd, line, (size_t)length) : 0;
    (void)written;
    close(fd);
}
