// The devices, and the words for errors.
#include <cstdio>
#include <cstring>

#include "device.h"

namespace {

constexpr int VERSION = 12090, SHARED = 48 << 10;

}  // namespace

thread_local int gpu_current = 0;

int gpu_fail(int error, const char* why) {
  std::fprintf(stderr, "the emulated GPU: %s\n", why);
  return error;
}

extern "C" {

cudaError_t cudaDriverGetVersion(int* version) {
  *version = VERSION;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) { return cudaDriverGetVersion(version); }

cudaError_t cudaGetDeviceCount(int* count) {
  *count = DEVICES;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  *device = gpu_current;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= DEVICES) return told(cudaErrorInvalidDevice);
  gpu_current = device;
  return told(cudaSuccess);
}

cudaError_t cudaGetDeviceProperties_v2(cudaDeviceProp* made, int device) {
  if (device < 0 || device >= DEVICES) return told(cudaErrorInvalidDevice);
  *made = {};
  std::strcpy(made->name, "a CPU that plays a GPU");
  made->totalGlobalMem = std::size_t{8} << 30;
  made->major = 9;
  made->warpSize = 32;
  made->maxThreadsPerBlock = 1024;
  made->multiProcessorCount = 4;
  made->sharedMemPerBlock = SHARED;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  switch (attribute) {
    case cudaDevAttrComputeCapabilityMajor: *value = 9; break;
    case cudaDevAttrMultiProcessorCount: *value = 4; break;
    case cudaDevAttrMaxThreadsPerBlock: *value = 1024; break;
    case cudaDevAttrWarpSize: *value = 32; break;
    case cudaDevAttrMaxSharedMemoryPerBlock: *value = SHARED; break;
    default: *value = 0;
  }
  return cudaSuccess;
}

cudaError_t cudaDeviceGetPCIBusId(char* id, int size, int device) {
  std::snprintf(id, static_cast<std::size_t>(size), "0000:0%d:00.0", device);
  return cudaSuccess;
}

cudaError_t cudaDeviceCanAccessPeer(int* can, int, int) {
  *can = 0;
  return cudaSuccess;
}

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorInvalidResourceHandle: return "cudaErrorInvalidResourceHandle";
    case cudaErrorIllegalAddress: return "cudaErrorIllegalAddress";
    case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureImplicit: return "cudaErrorStreamCaptureImplicit";
    default: return "an error of the emulated GPU";
  }
}

const char* cudaGetErrorString(cudaError_t error) { return cudaGetErrorName(error); }

}  // extern "C"
