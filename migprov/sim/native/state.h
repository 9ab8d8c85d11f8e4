/* The state of one simulated node: one file, mapped by every process that uses the node.
 * migprov/sim/state.py mirrors this layout with ctypes; change both and raise SIM_LAYOUT.
 * A record becomes valid by its `used` word, which is written last: a process that dies in the middle of a
 * change leaves either the old state or the new one. */
#ifndef MIGPROV_SIM_STATE_H
#define MIGPROV_SIM_STATE_H

#include <stdint.h>

#define SIM_MAGIC 0x4D4947504D495331ull
#define SIM_LAYOUT 4u

enum {
    MAX_GPUS = 16,
    MAX_PROFILES = 18,
    MAX_STARTS = 8,
    MAX_CI_PROFILES = 8,
    MAX_INSTANCES = 8,
    MAX_PROCESSES = 256,
    MAX_FAULTS = 64,
    MAX_CALLS = 512,
    CALL_NAME = 64,
    CLOCKS = 4,     /* by NVML_CLOCK_*: graphics, SM, memory, video */
    THRESHOLDS = 4, /* shutdown, slowdown, memory, GPU: NVML_TEMPERATURE_THRESHOLD_* as far as boards have them */
    MEMORY_CLOCKS = 4
};

enum { DRIVER_LOADED = 0, DRIVER_NOT_LOADED = 1, DRIVER_MISMATCH = 2 };
enum { KIND_COMPUTE = 0, KIND_GRAPHICS = 1, KIND_MPS = 2, KIND_MONITOR = 3 };

typedef struct {
    uint32_t number, id, slices, sms, max_count; /* number: NVML_COMPUTE_INSTANCE_PROFILE_* */
} CiProfile;

typedef struct {
    char name[96]; /* as NVML prints it: "MIG 3g.40gb" */
    uint64_t memory_mib;
    uint32_t number, id, slices, max_count, sms; /* number: NVML_GPU_INSTANCE_PROFILE_* */
    uint32_t copy_engines, decoders, encoders, jpegs, ofas, capabilities;
    uint32_t size, start_count;
    uint32_t starts[MAX_STARTS]; /* as NVML lists them */
    uint32_t order[MAX_STARTS];  /* the same starts in the order in which the driver itself would take them */
    uint32_t ci_count;
    CiProfile ci[MAX_CI_PROFILES];
} GiProfile;

typedef struct {
    uint32_t used, id, profile, start, size, serial; /* profile: index into GiProfile.ci */
    char uuid[80];
} ComputeInstance;

typedef struct {
    uint32_t used, id, profile, start, size, serial; /* profile: index into Gpu.profiles */
    ComputeInstance ci[MAX_INSTANCES];
} GpuInstance;

/* What is known of a board beside what MIG needs. 0 or empty: not known, and the driver answers Not Supported. */
typedef struct {
    char vbios[32], part_number[32], inforom_image[32], inforom_oem[8], inforom_ecc[8];
    uint32_t remapper_banks, pcie_generation, pcie_width, memory_bus_bits;
    uint32_t nvlinks, nvlink_version, nvlink_mbps, performance_states; /* a bit for each */
    uint32_t power_mw, power_limit_mw, power_min_mw, power_averaged, memory_power_mw;
    uint32_t temperature_c, memory_temperature_c, threshold_c[THRESHOLDS];
    uint32_t tlimit; /* Hopper and newer: temperatures are also told as distance from the limit, that of the GPU */
    uint32_t clock_mhz[CLOCKS], max_clock_mhz[CLOCKS], application_clock_mhz[CLOCKS];
    uint32_t supported_memory_mhz[MEMORY_CLOCKS], lowest_graphics_mhz, graphics_step_mhz;
} Board;

typedef struct {
    char name[96], product[40], uuid[48], serial[32];
    uint64_t memory_bytes, reserved_bytes, pdi;
    uint32_t pci_domain, pci_bus, pci_device, pci_device_id, pci_subsystem_id, minor;
    uint32_t architecture, capability_major, capability_minor, sms, cores, chip_id;
    uint32_t has_row_remapper, remap_pending;
    uint32_t mig_capable, resetless; /* resetless: Hopper and newer, the mode changes at once and is forgotten */
    uint32_t memory_slices, max_instances, rotated;
    uint32_t mig_current, mig_pending, persistence, compute_mode;
    uint32_t hypervisor, lost, requires_reset, resets;
    Board board;
    uint32_t profile_count;
    GiProfile profiles[MAX_PROFILES];
    GpuInstance gi[MAX_INSTANCES];
} Gpu;

typedef struct {
    uint64_t start_time; /* field 22 of /proc/PID/stat: a pid that came back is another process */
    uint64_t memory_bytes;
    uint64_t view; /* of whose /proc the pid is: see process_view */
    uint32_t used, pid, gpu, kind, gi_id, ci_id; /* gi_id, ci_id: NVML_NO_INSTANCE without MIG */
} Process;

typedef struct {
    char call[CALL_NAME]; /* empty: every call on the GPU */
    uint64_t hang_us;
    uint32_t used;
    int32_t gpu, error, times; /* gpu -1: any; error 0: none; times -1: for ever */
    uint32_t skip, late, kill; /* skip: calls that pass first; late: the call does its work before the fault */
} Fault;

typedef struct {
    uint64_t magic;
    uint32_t layout, size;
    uint32_t node_id, next_serial;
    uint32_t driver_condition, gpu_count;
    uint64_t write_count;
    char driver_version[80], nvml_version[80];
    int32_t cuda_version;
    uint32_t call_count;
    char call_names[MAX_CALLS][CALL_NAME];
    uint64_t counters[MAX_CALLS];
    uint32_t latency_us[MAX_CALLS];
    Process processes[MAX_PROCESSES];
    Fault faults[MAX_FAULTS];
    Gpu gpus[MAX_GPUS];
} State;

#endif
