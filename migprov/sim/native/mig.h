/* What the parts of the driver tell each other about instances and processes. */
#ifndef MIGPROV_SIM_MIG_H
#define MIGPROV_SIM_MIG_H

#include <stddef.h>
#include <stdint.h>

#include "handle.h"
#include "state.h"

/* uuid.c */
void sha1(const unsigned char *data, size_t length, unsigned char digest[20]);
void mig_uuid(const State *state, const Gpu *gpu, const GpuInstance *gi, const ComputeInstance *ci, char *text,
              size_t size);

/* compute_instance.c: "MIG 1c.3g.40gb", without the c when the compute instance has all slices. */
void ci_name(const GiProfile *parent, const CiProfile *profile, char *text, size_t size);

/* mig_device.c */
int mig_by_uuid(State *state, const char *uuid, Target *target);

/* processes.c: the living ones only; a process that died vanishes from the table. */
void processes_prune(State *state, int writable);
int process_alive(const Process *process);
uint64_t process_start_time(unsigned pid);
/* Tells one /proc from that of another pid namespace: the start time of its process 1. */
uint64_t process_view(void);
/* Bytes used on the GPU, or in one of its GPU instances; adds the driver's own share when anything runs. */
uint64_t memory_used(const State *state, int gpu, unsigned gi_id);
/* Any process on the GPU with a context, or with `monitors` also one that only holds the device open. */
int gpu_in_use(const State *state, int gpu, int monitors);
int gi_in_use(const State *state, int gpu, unsigned gi_id);
int ci_in_use(const State *state, int gpu, unsigned gi_id, unsigned ci_id);

#endif
