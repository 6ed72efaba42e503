// The CUDA driver on a CPU: modules, which are shared libraries here, and launches.
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xmmintrin.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "device.h"

namespace {

using Entry = void (*)(void**);
using Launch = int (*)(Entry, void**, const unsigned*, const unsigned*, int, const std::uintptr_t*,
                       int, char*, std::size_t);

constexpr unsigned DENORMALS_ARE_ZERO = 0x0040;

using Sizes = const std::size_t* (*)();

struct Image {
  char magic[8];
  std::uint64_t bytes;
};

struct Function {
  Launch launch;
  Entry entry;
  const std::size_t* sizes;  // of the arguments, ended by 0
  std::string name;
  int device;  // where its module was loaded
};

struct Module {
  void* library;
  int device;
};

// Looks at what an argument begins with: an address of the host that is not pinned is one that a
// GPU cannot reach. (An array of CuPy begins with its address. Numbers as large are not met here.)
bool reachable(const std::vector<char>& argument, const Function& kernel, std::string* why) {
  std::uintptr_t word = 0;
  if (argument.size() < sizeof word) return true;
  std::memcpy(&word, argument.data(), sizeof word);
  if (word < 0x550000000000u || word > 0x7fffffffffffu) return true;
  const void* address = reinterpret_cast<const void*>(word);
  if (gpu_owns(kernel.device, address) || gpu_pinned(address)) return true;
  char text[160];
  std::snprintf(text, sizeof text, "%s is given the address %#zx, which is not the device's",
                kernel.name.c_str(), word);
  *why = text;
  return false;
}

}  // namespace

extern "C" {

CUresult cuInit(unsigned) { return CUDA_SUCCESS; }

CUresult cuDriverGetVersion(int* version) {
  *version = 12090;
  return CUDA_SUCCESS;
}

CUresult cuGetErrorName(CUresult, const char** name) {
  *name = "CUDA_ERROR_OF_THE_EMULATED_GPU";
  return CUDA_SUCCESS;
}

CUresult cuGetErrorString(CUresult error, const char** text) { return cuGetErrorName(error, text); }

CUresult cuCtxGetCurrent(CUcontext* context) {
  *context = reinterpret_cast<CUcontext>(static_cast<std::uintptr_t>(gpu_current + 1));
  return CUDA_SUCCESS;
}

CUresult cuCtxGetDevice(CUdevice* device) {
  *device = gpu_current;
  return CUDA_SUCCESS;
}

CUresult cuModuleLoadData(CUmodule* module, const void* data) {
  Image image;
  std::memcpy(&image, data, sizeof image);
  if (std::memcmp(image.magic, "ONCPU\0\0\0", 8) != 0) return CUDA_ERROR_INVALID_IMAGE;
  const int file = memfd_create("kernels", 0);
  const char* bytes = static_cast<const char*>(data) + sizeof image;
  for (std::size_t written = 0; written < image.bytes;) {
    const ssize_t some = write(file, bytes + written, image.bytes - written);
    if (some <= 0) return CUDA_ERROR_OUT_OF_MEMORY;
    written += static_cast<std::size_t>(some);
  }
  const std::string path = "/proc/self/fd/" + std::to_string(file);
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    gpu_fail(0, dlerror());
    return CUDA_ERROR_INVALID_IMAGE;
  }
  // The file stays open: dlopen takes an equal path for the library that it loaded before.
  *module = new Module{library, gpu_current};
  return CUDA_SUCCESS;
}

// CuPy unloads a module when the last array of its kernels is gone; queued work may need it yet.
CUresult cuModuleUnload(CUmodule) { return CUDA_SUCCESS; }

CUresult cuModuleGetFunction(CUfunction* function, CUmodule module, const char* name) {
  const auto* loaded = static_cast<const Module*>(module);
  void* library = loaded->library;
  const std::string entry = std::string("nn_entry_") + name;
  const std::string sizes = std::string("nn_sizes_") + name;
  void* found = dlsym(library, entry.c_str());
  if (found == nullptr) return CUDA_ERROR_NOT_FOUND;
  *function = reinterpret_cast<CUfunction>(
      new Function{reinterpret_cast<Launch>(dlsym(library, "nn_launch")),
                   reinterpret_cast<Entry>(found),
                   reinterpret_cast<Sizes>(dlsym(library, sizes.c_str()))(), name,
                   loaded->device});
  return CUDA_SUCCESS;
}

CUresult cuFuncGetAttribute(int* value, int attribute, CUfunction) {
  *value = attribute == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK ? 1024 : 0;
  return CUDA_SUCCESS;
}

CUresult cuFuncSetAttribute(CUfunction, int, int) { return CUDA_SUCCESS; }

CUresult cuLaunchKernel(CUfunction handle, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                        unsigned by, unsigned bz, unsigned shared, CUstream stream,
                        void** parameters, void**) {
  const auto* function = reinterpret_cast<const Function*>(handle);
  if (function->device != gpu_current) return CUDA_ERROR_INVALID_HANDLE;
  if (gx == 0 || gy == 0 || gz == 0 || bx * by * bz == 0) return CUDA_ERROR_INVALID_VALUE;
  if (shared > 48 << 10) return CUDA_ERROR_INVALID_VALUE;
  // CUDA copies the arguments at the launch.
  auto held = std::make_shared<std::vector<std::vector<char>>>();
  for (std::size_t n = 0; function->sizes[n]; ++n) {
    const char* from = static_cast<const char*>(parameters[n]);
    held->emplace_back(from, from + function->sizes[n]);
  }
  const int error = gpu_launch(stream, [=] {
    std::vector<void*> arguments;
    std::string why;
    for (auto& one : *held) {
      if (!reachable(one, *function, &why))
        return gpu_fail(CUDA_ERROR_ILLEGAL_ADDRESS, why.c_str());
      arguments.push_back(one.data());
    }
    const unsigned grid[3] = {gx, gy, gz}, block[3] = {bx, by, bz};
    char message[512] = "";
    // CuPy compiles with -ftz=true: numbers next to 0 are 0 in float32, here in float64 too.
    const unsigned usual = _mm_getcsr();
    _mm_setcsr(usual | _MM_FLUSH_ZERO_ON | DENORMALS_ARE_ZERO);
    const int failed = function->launch(function->entry, arguments.data(), grid, block, 0, nullptr,
                                        0, message, sizeof message);
    _mm_setcsr(usual);
    if (failed) {
      const std::string said = function->name + ": " + message;
      return gpu_fail(CUDA_ERROR_LAUNCH_FAILED, said.c_str());
    }
    return 0;
  });
  return static_cast<CUresult>(error);
}

}  // extern "C"
