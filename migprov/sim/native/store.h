/* One node's state file: find it, map it, lock it. */
#ifndef MIGPROV_SIM_STORE_H
#define MIGPROV_SIM_STORE_H

#include <stddef.h>
#include <sys/types.h>

#include "state.h"

typedef struct {
    char path[4096];
    State *state;
    int fd;
    int writable; /* 0: another user's node; nothing this process does is stored or counted */
    uid_t owner;
    int root;     /* the caller owns the node (its state file), or is uid 0: root of the simulated machine. As of the
                   * present call, as a kernel sees it: a process may have given its rights away since it began. */
    int pid;      /* the process that opened fd: a lock is shared with forked children, so they open their own */
    dev_t device; /* of the file, with its number: by them it is known that fd still is ours */
    ino_t number;
} Store;

/* 0, or the errno that says why the file is not a node's state. */
int store_open(Store *store, const char *path);
void store_close(Store *store);
/* Exclusive among all processes; the kernel drops it when the holder dies. */
void store_lock(Store *store);
void store_unlock(Store *store);
/* MIGPROV_SIM_STATE, else DIR/state where this library was loaded as DIR/lib/NAME. */
int store_find(char *path, size_t size);
void store_log_write(Store *store, const char *call, int gpu, const char *arguments, int result);

#endif
