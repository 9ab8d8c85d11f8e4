/* Every call by name. The order is that of the counters in a node's state. */
#ifndef MIGPROV_SIM_CALLS_H
#define MIGPROV_SIM_CALLS_H

#define IMPLEMENTED_CALLS(X) \
    X(nvmlGpuInstanceGetComputeInstanceProfileInfo) X(nvmlGpuInstanceGetComputeInstanceProfileInfoV) \
    X(nvmlGpuInstanceGetComputeInstanceRemainingCapacity) \
    X(nvmlGpuInstanceGetComputeInstancePossiblePlacements) X(nvmlGpuInstanceCreateComputeInstance) \
    X(nvmlGpuInstanceCreateComputeInstanceWithPlacement) X(nvmlComputeInstanceDestroy) \
    X(nvmlGpuInstanceGetComputeInstances) X(nvmlGpuInstanceGetComputeInstanceById) \
    X(nvmlComputeInstanceGetInfo) X(nvmlComputeInstanceGetInfo_v2) X(nvmlDeviceGetCount) \
    X(nvmlDeviceGetCount_v2) X(nvmlDeviceGetHandleByIndex) X(nvmlDeviceGetHandleByIndex_v2) \
    X(nvmlDeviceGetHandleByUUID) X(nvmlDeviceGetHandleByUUIDV) X(nvmlDeviceGetHandleBySerial) \
    X(nvmlDeviceGetHandleByPciBusId) X(nvmlDeviceGetHandleByPciBusId_v2) X(nvmlDeviceGetGspFirmwareVersion) \
    X(nvmlDeviceGetPciInfo) X(nvmlDeviceGetPciInfo_v2) X(nvmlDeviceGetPciInfo_v3) X(nvmlDeviceGetPciInfoExt) \
    X(nvmlDeviceGetIndex) X(nvmlDeviceGetName) X(nvmlDeviceGetUUID) X(nvmlDeviceGetSerial) \
    X(nvmlDeviceGetVbiosVersion) X(nvmlDeviceGetBoardPartNumber) X(nvmlDeviceGetGpuInstanceProfileInfo) \
    X(nvmlDeviceGetGpuInstanceProfileInfoV) X(nvmlDeviceGetGpuInstanceProfileInfoByIdV) \
    X(nvmlDeviceGetGpuInstancePossiblePlacements) X(nvmlDeviceGetGpuInstancePossiblePlacements_v2) \
    X(nvmlDeviceGetGpuInstanceRemainingCapacity) X(nvmlDeviceCreateGpuInstance) \
    X(nvmlDeviceCreateGpuInstanceWithPlacement) X(nvmlGpuInstanceDestroy) X(nvmlDeviceGetGpuInstances) \
    X(nvmlDeviceGetGpuInstanceById) X(nvmlGpuInstanceGetInfo) X(nvmlDeviceIsMigDeviceHandle) \
    X(nvmlDeviceGetMaxMigDeviceCount) X(nvmlDeviceGetMigDeviceHandleByIndex) X(nvmlDeviceGetGpuInstanceId) \
    X(nvmlDeviceGetComputeInstanceId) X(nvmlDeviceGetDeviceHandleFromMigDeviceHandle) \
    X(nvmlDeviceGetAttributes) X(nvmlDeviceGetAttributes_v2) X(nvmlDeviceGetMigMode) X(nvmlDeviceSetMigMode) \
    X(migprovSimResetGpu) X(nvmlDeviceGetPersistenceMode) X(nvmlDeviceSetPersistenceMode) \
    X(nvmlDeviceGetMemoryInfo) X(nvmlDeviceGetMemoryInfo_v2) X(nvmlDeviceGetUtilizationRates) \
    X(nvmlDeviceGetClockInfo) X(nvmlDeviceGetMaxClockInfo) X(nvmlDeviceGetTemperature) \
    X(nvmlDeviceGetTemperatureV) X(nvmlDeviceGetCudaComputeCapability) X(nvmlDeviceGetEccMode) \
    X(nvmlDeviceGetRemappedRows) X(nvmlDeviceGetFieldValues) X(nvmlDeviceGetMinorNumber) \
    X(nvmlDeviceGetArchitecture) X(nvmlDeviceGetNumGpuCores) X(nvmlDeviceGetMultiGpuBoard) \
    X(nvmlDeviceGetBoardId) X(nvmlDeviceGetComputeMode) X(nvmlDeviceGetVirtualizationMode) \
    X(nvmlDeviceGetPowerUsage) X(nvmlDeviceGetPowerManagementLimit) X(nvmlDeviceGetEnforcedPowerLimit) \
    X(nvmlDeviceGetPowerManagementDefaultLimit) X(nvmlDeviceGetPerformanceState) X(nvmlDeviceGetPowerState) \
    X(nvmlDeviceGetDisplayMode) X(nvmlDeviceGetDisplayActive) X(nvmlDeviceGetAccountingMode) \
    X(nvmlDeviceGetRunningProcessDetailList) X(nvmlSystemGetProcessName) \
    X(nvmlDeviceGetComputeRunningProcesses) X(nvmlDeviceGetComputeRunningProcesses_v2) \
    X(nvmlDeviceGetComputeRunningProcesses_v3) X(nvmlDeviceGetGraphicsRunningProcesses) \
    X(nvmlDeviceGetGraphicsRunningProcesses_v2) X(nvmlDeviceGetGraphicsRunningProcesses_v3) \
    X(nvmlDeviceGetMPSComputeRunningProcesses) X(nvmlDeviceGetMPSComputeRunningProcesses_v2) \
    X(nvmlDeviceGetMPSComputeRunningProcesses_v3) X(nvmlInit) X(nvmlInit_v2) X(nvmlInitWithFlags) \
    X(nvmlShutdown) X(nvmlSystemGetDriverVersion) X(nvmlSystemGetNVMLVersion) X(nvmlSystemGetDriverBranch) \
    X(nvmlSystemGetCudaDriverVersion) X(nvmlSystemGetCudaDriverVersion_v2) X(nvmlUnitGetCount) \
    X(nvmlGetExcludedDeviceCount) X(nvmlEventSetCreate) X(nvmlEventSetFree) \
    X(nvmlDeviceGetSupportedEventTypes) X(nvmlDeviceRegisterEvents) X(nvmlEventSetWait) X(nvmlEventSetWait_v2) \
    X(nvmlDeviceGetBAR1MemoryInfo) X(nvmlDeviceGetTotalEccErrors) X(nvmlDeviceGetMemoryErrorCounter) \
    X(nvmlDeviceGetAccountingBufferSize) X(nvmlDeviceGetApplicationsClock) X(nvmlDeviceGetBrand) \
    X(nvmlDeviceGetClock) X(nvmlDeviceGetCurrPcieLinkGeneration) X(nvmlDeviceGetCurrPcieLinkWidth) \
    X(nvmlDeviceGetCurrentClocksEventReasons) X(nvmlDeviceGetCurrentClocksThrottleReasons) \
    X(nvmlDeviceGetDecoderUtilization) X(nvmlDeviceGetDefaultApplicationsClock) \
    X(nvmlDeviceGetEncoderSessions) X(nvmlDeviceGetEncoderStats) X(nvmlDeviceGetEncoderUtilization) \
    X(nvmlDeviceGetFBCSessions) X(nvmlDeviceGetFBCStats) X(nvmlDeviceGetGpuMaxPcieLinkGeneration) \
    X(nvmlDeviceGetInforomImageVersion) X(nvmlDeviceGetInforomVersion) X(nvmlDeviceGetJpgUtilization) \
    X(nvmlDeviceGetMaxCustomerBoostClock) X(nvmlDeviceGetMaxPcieLinkGeneration) \
    X(nvmlDeviceGetMaxPcieLinkWidth) X(nvmlDeviceGetOfaUtilization) X(nvmlDeviceGetPcieReplayCounter) \
    X(nvmlDeviceGetPcieThroughput) X(nvmlDeviceGetPowerManagementLimitConstraints) \
    X(nvmlDeviceGetPowerManagementMode) X(nvmlDeviceGetSupportedGraphicsClocks) \
    X(nvmlDeviceGetSupportedMemoryClocks) X(nvmlDeviceGetTemperatureThreshold) \
    X(nvmlDeviceGetTotalEnergyConsumption) X(nvmlDeviceGetAPIRestriction) X(nvmlDeviceGetAccountingPids) \
    X(nvmlDeviceGetAdaptiveClockInfoStatus) X(nvmlDeviceGetAddressingMode) X(nvmlDeviceGetBusType) \
    X(nvmlDeviceGetC2cModeInfoV) X(nvmlDeviceGetCapabilities) X(nvmlDeviceGetClockOffsets) \
    X(nvmlDeviceGetConfComputeMemSizeInfo) X(nvmlDeviceGetConfComputeProtectedMemoryUsage) \
    X(nvmlDeviceGetCpuAffinity) X(nvmlDeviceGetCpuAffinityWithinScope) X(nvmlDeviceGetCurrentClockFreqs) \
    X(nvmlDeviceGetDefaultEccMode) X(nvmlDeviceGetDetailedEccErrors) X(nvmlDeviceGetDynamicPstatesInfo) \
    X(nvmlDeviceGetEncoderCapacity) X(nvmlDeviceGetFanControlPolicy_v2) X(nvmlDeviceGetFanSpeedRPM) \
    X(nvmlDeviceGetFanSpeed_v2) X(nvmlDeviceGetGpcClkMinMaxVfOffset) X(nvmlDeviceGetGpcClkVfOffset) \
    X(nvmlDeviceGetGpuFabricInfo) X(nvmlDeviceGetGpuFabricInfoV) X(nvmlDeviceGetGridLicensableFeatures) \
    X(nvmlDeviceGetGridLicensableFeatures_v2) X(nvmlDeviceGetGridLicensableFeatures_v3) \
    X(nvmlDeviceGetGridLicensableFeatures_v4) X(nvmlDeviceGetGspFirmwareMode) \
    X(nvmlDeviceGetInforomConfigurationChecksum) X(nvmlDeviceGetIrqNum) X(nvmlDeviceGetLastBBXFlushTime) \
    X(nvmlDeviceGetMarginTemperature) X(nvmlDeviceGetMemClkMinMaxVfOffset) X(nvmlDeviceGetMemClkVfOffset) \
    X(nvmlDeviceGetMemoryAffinity) X(nvmlDeviceGetMemoryBusWidth) X(nvmlDeviceGetMinMaxClockOfPState) \
    X(nvmlDeviceGetMinMaxFanSpeed) X(nvmlDeviceGetModuleId) X(nvmlDeviceGetNumFans) \
    X(nvmlDeviceGetNvLinkCapability) X(nvmlDeviceGetNvLinkErrorCounter) X(nvmlDeviceGetNvLinkInfo) \
    X(nvmlDeviceGetNvLinkRemoteDeviceType) X(nvmlDeviceGetNvLinkRemotePciInfo_v2) X(nvmlDeviceGetNvLinkState) \
    X(nvmlDeviceGetNvLinkVersion) X(nvmlDeviceGetP2PStatus) X(nvmlDeviceGetPcieLinkMaxSpeed) \
    X(nvmlDeviceGetPcieSpeed) X(nvmlDeviceGetPdi) X(nvmlDeviceGetPerformanceModes) \
    X(nvmlDeviceGetPlatformInfo) X(nvmlDeviceGetPowerSource) X(nvmlDeviceGetProcessUtilization) \
    X(nvmlDeviceGetProcessesUtilizationInfo) X(nvmlDeviceGetRepairStatus) X(nvmlDeviceGetRowRemapperHistogram) \
    X(nvmlDeviceGetSramEccErrorStatus) X(nvmlDeviceGetSupportedClocksEventReasons) \
    X(nvmlDeviceGetSupportedClocksThrottleReasons) X(nvmlDeviceGetSupportedPerformanceStates) \
    X(nvmlDeviceGetTargetFanSpeed) X(nvmlDeviceGetThermalSettings) X(nvmlDeviceGetTopologyCommonAncestor) \
    X(nvmlDeviceGetTopologyNearestGpus) X(nvmlDeviceGetUnrepairableMemoryFlag_v1) \
    X(nvmlDeviceGetViolationStatus) X(nvmlDeviceOnSameBoard) X(nvmlSystemGetConfComputeCapabilities) \
    X(nvmlSystemGetConfComputeGpusReadyState) X(nvmlSystemGetConfComputeKeyRotationThresholdInfo) \
    X(nvmlSystemGetConfComputeState) X(nvmlSystemGetHicVersion) X(nvmlSystemGetNvlinkBwMode)

#define UNSUPPORTED_DEVICE_CALLS(X) \
    X(nvmlDeviceClearAccountingPids) X(nvmlDeviceClearCpuAffinity) X(nvmlDeviceClearEccErrorCounts) \
    X(nvmlDeviceClearFieldValues) X(nvmlDeviceFreezeNvLinkUtilizationCounter) X(nvmlDeviceGetAccountingStats) \
    X(nvmlDeviceGetActiveVgpus) X(nvmlDeviceGetAutoBoostedClocksEnabled) X(nvmlDeviceGetBridgeChipInfo) \
    X(nvmlDeviceGetClkMonStatus) X(nvmlDeviceGetConfComputeGpuAttestationReport) \
    X(nvmlDeviceGetConfComputeGpuCertificate) X(nvmlDeviceGetCoolerInfo) X(nvmlDeviceGetCreatableVgpus) \
    X(nvmlDeviceGetDramEncryptionMode) X(nvmlDeviceGetDriverModel) X(nvmlDeviceGetDriverModel_v2) \
    X(nvmlDeviceGetFanControlPolicy) X(nvmlDeviceGetFanSpeed) X(nvmlDeviceGetGpuOperationMode) \
    X(nvmlDeviceGetHostVgpuMode) X(nvmlDeviceGetHostname_v1) X(nvmlDeviceGetNumaNodeId) \
    X(nvmlDeviceGetNvLinkRemotePciInfo) X(nvmlDeviceGetNvLinkUtilizationControl) \
    X(nvmlDeviceGetNvLinkUtilizationCounter) X(nvmlDeviceGetNvlinkBwMode) \
    X(nvmlDeviceGetNvlinkSupportedBwModes) X(nvmlDeviceGetPgpuMetadataString) \
    X(nvmlDeviceGetPowerMizerMode_v1) X(nvmlDeviceGetRemappedRows_v2) X(nvmlDeviceGetRetiredPages) \
    X(nvmlDeviceGetRetiredPagesPendingStatus) X(nvmlDeviceGetRetiredPages_v2) X(nvmlDeviceGetSamples) \
    X(nvmlDeviceGetSramUniqueUncorrectedEccErrorCounts) X(nvmlDeviceGetSupportedVgpus) \
    X(nvmlDeviceGetVgpuCapabilities) X(nvmlDeviceGetVgpuHeterogeneousMode) \
    X(nvmlDeviceGetVgpuInstancesUtilizationInfo) X(nvmlDeviceGetVgpuMetadata) \
    X(nvmlDeviceGetVgpuProcessUtilization) X(nvmlDeviceGetVgpuProcessesUtilizationInfo) \
    X(nvmlDeviceGetVgpuSchedulerCapabilities) X(nvmlDeviceGetVgpuSchedulerLog) \
    X(nvmlDeviceGetVgpuSchedulerState) X(nvmlDeviceGetVgpuTypeCreatablePlacements) \
    X(nvmlDeviceGetVgpuTypeSupportedPlacements) X(nvmlDeviceGetVgpuUtilization) \
    X(nvmlDevicePowerSmoothingActivatePresetProfile) X(nvmlDevicePowerSmoothingSetState) \
    X(nvmlDevicePowerSmoothingUpdatePresetProfileParam) X(nvmlDeviceReadPRMCounters_v1) \
    X(nvmlDeviceReadWritePRM_v1) X(nvmlDeviceResetApplicationsClocks) X(nvmlDeviceResetGpuLockedClocks) \
    X(nvmlDeviceResetMemoryLockedClocks) X(nvmlDeviceResetNvLinkErrorCounters) \
    X(nvmlDeviceResetNvLinkUtilizationCounter) X(nvmlDeviceSetAPIRestriction) X(nvmlDeviceSetAccountingMode) \
    X(nvmlDeviceSetApplicationsClocks) X(nvmlDeviceSetAutoBoostedClocksEnabled) X(nvmlDeviceSetClockOffsets) \
    X(nvmlDeviceSetComputeMode) X(nvmlDeviceSetConfComputeUnprotectedMemSize) X(nvmlDeviceSetCpuAffinity) \
    X(nvmlDeviceSetDefaultAutoBoostedClocksEnabled) X(nvmlDeviceSetDefaultFanSpeed_v2) \
    X(nvmlDeviceSetDramEncryptionMode) X(nvmlDeviceSetDriverModel) X(nvmlDeviceSetEccMode) \
    X(nvmlDeviceSetFanControlPolicy) X(nvmlDeviceSetFanSpeed_v2) X(nvmlDeviceSetGpcClkVfOffset) \
    X(nvmlDeviceSetGpuLockedClocks) X(nvmlDeviceSetGpuOperationMode) X(nvmlDeviceSetHostname_v1) \
    X(nvmlDeviceSetMemClkVfOffset) X(nvmlDeviceSetMemoryLockedClocks) \
    X(nvmlDeviceSetNvLinkDeviceLowPowerThreshold) X(nvmlDeviceSetNvLinkUtilizationControl) \
    X(nvmlDeviceSetNvlinkBwMode) X(nvmlDeviceSetPowerManagementLimit) X(nvmlDeviceSetPowerManagementLimit_v2) \
    X(nvmlDeviceSetPowerMizerMode_v1) X(nvmlDeviceSetTemperatureThreshold) X(nvmlDeviceSetVgpuCapabilities) \
    X(nvmlDeviceSetVgpuHeterogeneousMode) X(nvmlDeviceSetVgpuSchedulerState) \
    X(nvmlDeviceSetVirtualizationMode) X(nvmlDeviceValidateInforom) \
    X(nvmlDeviceWorkloadPowerProfileClearRequestedProfiles) \
    X(nvmlDeviceWorkloadPowerProfileGetCurrentProfiles) X(nvmlDeviceWorkloadPowerProfileGetProfilesInfo) \
    X(nvmlDeviceWorkloadPowerProfileSetRequestedProfiles)

#define UNSUPPORTED_OTHER_CALLS(X) \
    X(nvmlDeviceDiscoverGpus) X(nvmlDeviceModifyDrainState) X(nvmlDeviceQueryDrainState) \
    X(nvmlDeviceRemoveGpu) X(nvmlDeviceRemoveGpu_v2) X(nvmlGetExcludedDeviceInfoByIndex) \
    X(nvmlGetVgpuCompatibility) X(nvmlGetVgpuDriverCapabilities) X(nvmlGetVgpuVersion) X(nvmlGpmMetricsGet) \
    X(nvmlGpmMigSampleGet) X(nvmlGpmQueryDeviceSupport) X(nvmlGpmQueryIfStreamingEnabled) \
    X(nvmlGpmSampleAlloc) X(nvmlGpmSampleFree) X(nvmlGpmSampleGet) X(nvmlGpmSetStreamingEnabled) \
    X(nvmlGpuInstanceGetActiveVgpus) X(nvmlGpuInstanceGetCreatableVgpus) \
    X(nvmlGpuInstanceGetVgpuHeterogeneousMode) X(nvmlGpuInstanceGetVgpuSchedulerLog) \
    X(nvmlGpuInstanceGetVgpuSchedulerState) X(nvmlGpuInstanceGetVgpuTypeCreatablePlacements) \
    X(nvmlGpuInstanceSetVgpuHeterogeneousMode) X(nvmlGpuInstanceSetVgpuSchedulerState) X(nvmlSetVgpuVersion) \
    X(nvmlSystemEventSetCreate) X(nvmlSystemEventSetFree) X(nvmlSystemEventSetWait) \
    X(nvmlSystemGetConfComputeSettings) X(nvmlSystemGetTopologyGpuSet) X(nvmlSystemRegisterEvents) \
    X(nvmlSystemSetConfComputeGpusReadyState) X(nvmlSystemSetConfComputeKeyRotationThresholdInfo) \
    X(nvmlSystemSetNvlinkBwMode) X(nvmlUnitGetDevices) X(nvmlUnitGetFanSpeedInfo) X(nvmlUnitGetHandleByIndex) \
    X(nvmlUnitGetLedState) X(nvmlUnitGetPsuInfo) X(nvmlUnitGetTemperature) X(nvmlUnitGetUnitInfo) \
    X(nvmlUnitSetLedState) X(nvmlVgpuInstanceClearAccountingPids) X(nvmlVgpuInstanceGetAccountingMode) \
    X(nvmlVgpuInstanceGetAccountingPids) X(nvmlVgpuInstanceGetAccountingStats) X(nvmlVgpuInstanceGetEccMode) \
    X(nvmlVgpuInstanceGetEncoderCapacity) X(nvmlVgpuInstanceGetEncoderSessions) \
    X(nvmlVgpuInstanceGetEncoderStats) X(nvmlVgpuInstanceGetFBCSessions) X(nvmlVgpuInstanceGetFBCStats) \
    X(nvmlVgpuInstanceGetFbUsage) X(nvmlVgpuInstanceGetFrameRateLimit) X(nvmlVgpuInstanceGetGpuInstanceId) \
    X(nvmlVgpuInstanceGetGpuPciId) X(nvmlVgpuInstanceGetLicenseInfo) X(nvmlVgpuInstanceGetLicenseInfo_v2) \
    X(nvmlVgpuInstanceGetLicenseStatus) X(nvmlVgpuInstanceGetMdevUUID) X(nvmlVgpuInstanceGetMetadata) \
    X(nvmlVgpuInstanceGetPlacementId) X(nvmlVgpuInstanceGetRuntimeStateSize) X(nvmlVgpuInstanceGetType) \
    X(nvmlVgpuInstanceGetUUID) X(nvmlVgpuInstanceGetVmDriverVersion) X(nvmlVgpuInstanceGetVmID) \
    X(nvmlVgpuInstanceSetEncoderCapacity) X(nvmlVgpuTypeGetBAR1Info) X(nvmlVgpuTypeGetCapabilities) \
    X(nvmlVgpuTypeGetClass) X(nvmlVgpuTypeGetDeviceID) X(nvmlVgpuTypeGetFbReservation) \
    X(nvmlVgpuTypeGetFrameRateLimit) X(nvmlVgpuTypeGetFramebufferSize) X(nvmlVgpuTypeGetGpuInstanceProfileId) \
    X(nvmlVgpuTypeGetGspHeapSize) X(nvmlVgpuTypeGetLicense) X(nvmlVgpuTypeGetMaxInstances) \
    X(nvmlVgpuTypeGetMaxInstancesPerGpuInstance) X(nvmlVgpuTypeGetMaxInstancesPerVm) X(nvmlVgpuTypeGetName) \
    X(nvmlVgpuTypeGetNumDisplayHeads) X(nvmlVgpuTypeGetResolution)

#define ALL_CALLS(X) IMPLEMENTED_CALLS(X) UNSUPPORTED_DEVICE_CALLS(X) UNSUPPORTED_OTHER_CALLS(X)

typedef enum {
#define ID(name) CALL_##name,
    ALL_CALLS(ID)
#undef ID
    CALL_COUNT
} CallId;

#endif
