#include "geometry.h"

#include <stddef.h>

const GiProfile *gi_profile_by_id(const Gpu *gpu, unsigned id)
{
    for (unsigned i = 0; i < gpu->profile_count; i++)
        if (gpu->profiles[i].id == id)
            return &gpu->profiles[i];
    return NULL;
}

const GiProfile *gi_profile_by_number(const Gpu *gpu, unsigned number)
{
    for (unsigned i = 0; i < gpu->profile_count; i++)
        if (gpu->profiles[i].number == number)
            return &gpu->profiles[i];
    return NULL;
}

const CiProfile *ci_profile_by_id(const GiProfile *profile, unsigned id)
{
    for (unsigned i = 0; i < profile->ci_count; i++)
        if (profile->ci[i].id == id)
            return &profile->ci[i];
    return NULL;
}

const CiProfile *ci_profile_by_number(const GiProfile *profile, unsigned number)
{
    for (unsigned i = 0; i < profile->ci_count; i++)
        if (profile->ci[i].number == number)
            return &profile->ci[i];
    return NULL;
}

unsigned gi_count(const Gpu *gpu)
{
    unsigned count = 0;
    for (int i = 0; i < MAX_INSTANCES; i++)
        count += gpu->gi[i].used != 0;
    return count;
}

unsigned ci_count(const GpuInstance *gi)
{
    unsigned count = 0;
    for (int i = 0; i < MAX_INSTANCES; i++)
        count += gi->ci[i].used != 0;
    return count;
}

/* The media engines are few (one JPEG decoder and OFA on an A100) and each belongs to one instance. The profile
 * that spans the GPU holds them all, so its row is the stock. It yields "one +me per GPU", and on the RTX cards
 * "beside a +me.all only profiles without media engines". */
static int engines_suffice(const Gpu *gpu, const GiProfile *wanted)
{
    const GiProfile *stock = wanted;
    unsigned decoders = wanted->decoders, encoders = wanted->encoders, jpegs = wanted->jpegs, ofas = wanted->ofas;
    for (unsigned i = 0; i < gpu->profile_count; i++)
        if (gpu->profiles[i].size > stock->size)
            stock = &gpu->profiles[i];
    for (int i = 0; i < MAX_INSTANCES; i++) {
        const GiProfile *held = &gpu->profiles[gpu->gi[i].profile];
        if (!gpu->gi[i].used)
            continue;
        decoders += held->decoders;
        encoders += held->encoders;
        jpegs += held->jpegs;
        ofas += held->ofas;
    }
    return decoders <= stock->decoders && encoders <= stock->encoders && jpegs <= stock->jpegs && ofas <= stock->ofas;
}

static int span_free(const Gpu *gpu, unsigned start, unsigned size)
{
    for (int i = 0; i < MAX_INSTANCES; i++) {
        const GpuInstance *gi = &gpu->gi[i];
        if (gi->used && start < gi->start + gi->size && gi->start < start + size)
            return 0;
    }
    return 1;
}

static unsigned made(const Gpu *gpu, const GiProfile *profile)
{
    unsigned count = 0;
    for (int i = 0; i < MAX_INSTANCES; i++)
        count += gpu->gi[i].used && gpu->gi[i].profile == (unsigned)(profile - gpu->profiles);
    return count;
}

int gi_start_listed(const GiProfile *profile, unsigned start)
{
    for (unsigned i = 0; i < profile->start_count; i++)
        if (profile->starts[i] == start)
            return 1;
    return 0;
}

int gi_fits(const Gpu *gpu, const GiProfile *profile, unsigned start)
{
    return made(gpu, profile) < profile->max_count && engines_suffice(gpu, profile) &&
           span_free(gpu, start, profile->size);
}

unsigned gi_capacity(const Gpu *gpu, const GiProfile *profile)
{
    unsigned room = 0, left = profile->max_count - made(gpu, profile);
    if (!left || !engines_suffice(gpu, profile))
        return 0;
    /* The starts of one profile never overlap each other, so free starts can be counted one by one. */
    for (unsigned i = 0; i < profile->start_count; i++)
        room += (unsigned)span_free(gpu, profile->starts[i], profile->size);
    return room < left ? room : left;
}

/* GPU instance ids come from pools by size: whole 0, halves 1-2, quarters 3-6, eighths 7-14. Within a pool the id
 * follows the physical position, and boards differ by half a turn in how positions are numbered as starts. */
unsigned gi_id_of(const Gpu *gpu, unsigned start, unsigned size)
{
    unsigned parts = gpu->memory_slices / size;
    unsigned position = start;
    if (gpu->rotated && parts > 1)
        position = (start + gpu->memory_slices / 2) % gpu->memory_slices;
    return (parts - 1) + position / size;
}

/* Inside a GPU instance a compute instance starts at a multiple of its size rounded up to a power of two (derived:
 * it yields every recorded count, such as two 3c in a 7g and one 2c in a 3g). */
unsigned ci_starts(const GiProfile *parent, const CiProfile *profile, unsigned starts[MAX_INSTANCES])
{
    unsigned step = 1, count = 0;
    while (step < profile->slices)
        step *= 2;
    for (unsigned at = 0; at + profile->slices <= parent->slices && count < profile->max_count; at += step)
        starts[count++] = at;
    return count;
}

int ci_fits(const GpuInstance *gi, const GiProfile *parent, const CiProfile *profile, unsigned start)
{
    unsigned count = 0;
    for (int i = 0; i < MAX_INSTANCES; i++) {
        const ComputeInstance *ci = &gi->ci[i];
        if (!ci->used)
            continue;
        count += ci->profile == (unsigned)(profile - parent->ci);
        if (start < ci->start + ci->size && ci->start < start + profile->slices)
            return 0;
    }
    return count < profile->max_count && start + profile->slices <= parent->slices;
}

unsigned ci_capacity(const GpuInstance *gi, const GiProfile *parent, const CiProfile *profile)
{
    unsigned starts[MAX_INSTANCES], room = 0, count = ci_starts(parent, profile, starts);
    for (unsigned i = 0; i < count; i++)
        room += (unsigned)ci_fits(gi, parent, profile, starts[i]);
    return room;
}
