// What all kernels share: types, the loop over a grid, vectors of 16 bytes, sums that repeat exactly.
//
// REAL is the floating type of the arrays, float unless -DREAL=double. No kernel adds floating
// point numbers atomically: every sum has one fixed order, which depends on sizes only, so a run
// repeats bit for bit.
#ifndef NN_COMMON
#define NN_COMMON

#ifndef REAL
#define REAL float
#endif

#define KERNEL extern "C" __global__ void
#define DEVICE __device__ __forceinline__

typedef long long Index;
typedef unsigned int Word;
typedef unsigned long long Counter;
typedef unsigned char Mask;  // a NumPy bool

constexpr int THREADS = 256;  // of a one-dimensional block
constexpr int WARP = 32;
constexpr Word ALL_LANES = 0xffffffffu;

// A number of a launch: given with it, or standing in memory by the time the kernel runs. The latter
// is for a launch that is repeated as it is, with another number each time.
template <class T>
struct Late {
  T given;
  const T* at;
  DEVICE T operator()() const { return at == nullptr ? given : *at; }
};
typedef Late<double> Number;
typedef Late<Counter> LateCounter;

// 16 bytes that are read or written by one instruction.
constexpr int WIDTH = 16 / sizeof(REAL);
struct alignas(16) Pack {
  REAL v[WIDTH];
};

DEVICE bool aligned(const void* p) { return (reinterpret_cast<unsigned long long>(p) & 15) == 0; }
DEVICE Pack load(const REAL* x, Index pack) { return reinterpret_cast<const Pack*>(x)[pack]; }
DEVICE void store(REAL* y, Index pack, Pack value) { reinterpret_cast<Pack*>(y)[pack] = value; }

// The first element of this thread, and how far it is to its next one.
DEVICE Index first() { return static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x; }
DEVICE Index stride() { return static_cast<Index>(gridDim.x) * blockDim.x; }

// Calls scalar(i) for every element, or where `packed` vector(j) for whole packs and scalar for
// the tail.
template <class Vector, class Scalar>
DEVICE void sweep(Index n, bool packed, Vector vector, Scalar scalar) {
  const Index packs = packed ? n / WIDTH : 0;
  for (Index j = first(); j < packs; j += stride()) vector(j);
  for (Index i = packs * WIDTH + first(); i < n; i += stride()) scalar(i);
}

template <class T>
DEVICE T warp_sum(T value) {
  for (int step = WARP / 2; step > 0; step /= 2)
    value += __shfl_xor_sync(ALL_LANES, value, step);
  return value;
}

template <class T>
DEVICE T warp_max(T value) {
  for (int step = WARP / 2; step > 0; step /= 2) {
    const T other = __shfl_xor_sync(ALL_LANES, value, step);
    value = other > value ? other : value;
  }
  return value;
}

// The sum over a block of THREADS threads, in every thread. `scratch` has WARP entries in shared
// memory.
template <class T>
DEVICE T block_sum(T value, T* scratch) {
  value = warp_sum(value);
  if (threadIdx.x % WARP == 0) scratch[threadIdx.x / WARP] = value;
  __syncthreads();
  const int lane = threadIdx.x % WARP;
  value = warp_sum(lane < THREADS / WARP ? scratch[lane] : T(0));
  __syncthreads();  // before anybody uses the scratch again
  return value;
}

#endif
