// What the text of CuPy's own kernels needs beside the emulator's cuda_on_cpu.h.
#ifndef DEVICE_CODE_H
#define DEVICE_CODE_H

#include <cassert>
#include <cfloat>
#include <cfenv>
#include <climits>

#include "cuda_on_cpu.h"

#undef __global__
#define __global__ NN_GLOBAL
#define __noinline__
#define __constant__
#define __CUDACC_VER_MAJOR__ 12

using std::acos; using std::acosh; using std::asin; using std::asinh; using std::atan;
using std::atan2; using std::atanh; using std::cbrt; using std::ceil; using std::copysign;
using std::cos; using std::cosh; using std::erf; using std::exp2; using std::floor; using std::fma;
using std::fmax; using std::fmin; using std::fmod; using std::frexp; using std::hypot;
using std::isfinite; using std::isinf; using std::isnan; using std::ldexp; using std::lgamma;
using std::log10; using std::log2; using std::modf; using std::nextafter; using std::pow;
using std::rint; using std::round; using std::signbit; using std::sin; using std::sinh;
using std::tan; using std::tgamma; using std::trunc;

template <class T>
T min(T a, T b) { return b < a ? b : a; }
template <class T>
T max(T a, T b) { return a < b ? b : a; }

// With the width that CuPy's text names, always a whole warp.
#undef __shfl_xor_sync
#define __shfl_xor_sync(mask, value, step, ...) \
  nn_shuffle_value(value, mask, nn_lane() ^ (step), __LINE__)
#define __shfl_up_sync(mask, value, step, ...) \
  nn_shuffle_value(value, mask, nn_lane() < int(step) ? nn_lane() : nn_lane() - int(step), __LINE__)
#define __shfl_down_sync(mask, value, step, ...) \
  nn_shuffle_value(value, mask, nn_lane() + int(step) > 31 ? nn_lane() : nn_lane() + int(step), __LINE__)
#define __syncwarp(...) (void)nn_shuffle_value(0, 0xffffffffu, nn_lane(), __LINE__)

inline int __clz(int x) { return x ? __builtin_clz(static_cast<unsigned>(x)) : 32; }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }

inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
inline double rsqrt(double x) { return 1 / std::sqrt(x); }

template <class To, class From>
To nn_bits(From value) {
  static_assert(sizeof(To) == sizeof(From), "");
  To made;
  std::memcpy(&made, &value, sizeof made);
  return made;
}
inline int __float_as_int(float x) { return nn_bits<int>(x); }
inline unsigned __float_as_uint(float x) { return nn_bits<unsigned>(x); }
inline float __int_as_float(int x) { return nn_bits<float>(x); }
inline float __uint_as_float(unsigned x) { return nn_bits<float>(x); }
inline long long __double_as_longlong(double x) { return nn_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return nn_bits<double>(x); }

// One thread runs at a time, so what is atomic on a GPU needs no care here.
template <class T>
T atomicAdd(T* place, T value) { const T old = *place; *place = old + value; return old; }
template <class T>
T atomicExch(T* place, T value) { const T old = *place; *place = value; return old; }
template <class T>
T atomicMax(T* place, T value) { const T old = *place; *place = max(old, value); return old; }
template <class T>
T atomicMin(T* place, T value) { const T old = *place; *place = min(old, value); return old; }
template <class T>
T atomicOr(T* place, T value) { const T old = *place; *place = old | value; return old; }
template <class T>
T atomicAnd(T* place, T value) { const T old = *place; *place = old & value; return old; }
template <class T>
T atomicXor(T* place, T value) { const T old = *place; *place = old ^ value; return old; }
template <class T>
T atomicCAS(T* place, T expected, T value) {
  const T old = *place;
  if (old == expected) *place = value;
  return old;
}

inline char* nn_shared_by_launch() {
  __shared__ char all[48 << 10];
  return all;
}

// The sizes of a kernel's arguments, ended by 0.
template <class... A>
const std::size_t* nn_sizes(void (*)(A...)) {
  static const std::size_t sizes[] = {sizeof(A)..., 0};
  return sizes;
}

#endif
