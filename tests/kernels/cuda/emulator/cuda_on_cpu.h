// CUDA C++ on a CPU: what a .cu file needs so that g++ compiles its text unchanged.
//
// Include this first. Kernels become plain functions; nn_launch in cuda_on_cpu.cpp calls one for
// every thread of every block. Threads of a block take turns: one runs until it ends or has to
// wait at __syncthreads or in a shuffle. Shared memory is a static variable, because only one
// block runs at a time.
#ifndef CUDA_ON_CPU_H
#define CUDA_ON_CPU_H

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

struct nn_index {
  unsigned x, y, z;
};

extern nn_index nn_thread, nn_block, nn_block_size, nn_grid_size;

#define threadIdx nn_thread
#define blockIdx nn_block
#define blockDim nn_block_size
#define gridDim nn_grid_size

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#if defined(__SANITIZE_ADDRESS__)
#define __shared__ static  // the address sanitizer puts red zones around it
#else
// In a section of its own, which the runtime fills with NaN before each block.
#define __shared__ static __attribute__((section("nn_shared")))
#endif

void nn_barrier(int line);
std::uint64_t nn_shuffle(std::uint64_t bits, unsigned mask, int source, int line);

#define __syncthreads() nn_barrier(__LINE__)

template <class T>
T nn_shuffle_value(T value, unsigned mask, int source, int line) {
  static_assert(sizeof(T) <= sizeof(std::uint64_t), "a shuffle takes at most 8 bytes");
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = nn_shuffle(bits, mask, source, line);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline int nn_lane() {
  return static_cast<int>(
      (nn_thread.x + nn_block_size.x * (nn_thread.y + nn_block_size.y * nn_thread.z)) % 32);
}

#define __shfl_xor_sync(mask, value, step) \
  nn_shuffle_value(value, mask, nn_lane() ^ (step), __LINE__)

// The overloads that CUDA has without a namespace.
using std::erfc;
using std::exp;
using std::expm1;
using std::fabs;
using std::log;
using std::log1p;
using std::sqrt;
using std::tanh;

// Calls a kernel with its arguments as cudaLaunchKernel takes them: an array of pointers to them.
// It is the host's part of a launch, so the watch does not look at it.
template <class... A, std::size_t... I>
__attribute__((no_sanitize("thread"), noinline)) void nn_call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
  kernel(*static_cast<A*>(arguments[I])...);
}

template <class... A>
void nn_call(void (*kernel)(A...), void** arguments) {
  nn_call(kernel, arguments, std::make_index_sequence<sizeof...(A)>{});
}

// The entry of a kernel, by which it is found in the shared library.
#define NN_ENTRY(name) \
  extern "C" void nn_entry_##name(void** arguments) { nn_call(name, arguments); }

#endif
