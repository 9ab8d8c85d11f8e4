/* What fits where on one GPU: pure questions about its state. */
#ifndef MIGPROV_SIM_GEOMETRY_H
#define MIGPROV_SIM_GEOMETRY_H

#include "state.h"

const GiProfile *gi_profile_by_id(const Gpu *gpu, unsigned id);
const GiProfile *gi_profile_by_number(const Gpu *gpu, unsigned number);
const CiProfile *ci_profile_by_id(const GiProfile *profile, unsigned id);
const CiProfile *ci_profile_by_number(const GiProfile *profile, unsigned number);

/* Free of other instances, and count and media engines suffice. */
int gi_fits(const Gpu *gpu, const GiProfile *profile, unsigned start);
int gi_start_listed(const GiProfile *profile, unsigned start);
/* How many more of the profile could be made. */
unsigned gi_capacity(const Gpu *gpu, const GiProfile *profile);
/* The id that a span of memory slices gets on this board. */
unsigned gi_id_of(const Gpu *gpu, unsigned start, unsigned size);
unsigned gi_count(const Gpu *gpu);

/* Starts (compute slices inside the GPU instance) that a compute profile may take; how many. */
unsigned ci_starts(const GiProfile *parent, const CiProfile *profile, unsigned starts[MAX_INSTANCES]);
int ci_fits(const GpuInstance *gi, const GiProfile *parent, const CiProfile *profile, unsigned start);
unsigned ci_capacity(const GpuInstance *gi, const GiProfile *parent, const CiProfile *profile);
unsigned ci_count(const GpuInstance *gi);

#endif
