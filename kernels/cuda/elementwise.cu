// Arithmetic of arrays of one shape, assignments, and the numbers that a plan changes at each step.
#include "common.cuh"

enum Operation { ADD, SUBTRACT, MULTIPLY, DIVIDE };

template <Operation WHAT>
DEVICE REAL combined(REAL a, REAL b) {
  return WHAT == ADD ? a + b : WHAT == SUBTRACT ? a - b : WHAT == MULTIPLY ? a * b : a / b;
}

// y may be a, as in a sum that grows.
template <Operation WHAT>
DEVICE void binary(const REAL* a, const REAL* b, REAL* y, Index n) {
  sweep(
      n, aligned(a) && aligned(b) && aligned(y),
      [=](Index j) {
        const Pack left = load(a, j), right = load(b, j);
        Pack made;
        for (int k = 0; k < WIDTH; ++k) made.v[k] = combined<WHAT>(left.v[k], right.v[k]);
        store(y, j, made);
      },
      [=](Index i) { y[i] = combined<WHAT>(a[i], b[i]); });
}

// Expands DO(code, name) for each operation.
#define OPERATIONS(DO)                                                                      \
  DO(ADD, add) DO(SUBTRACT, subtract) DO(MULTIPLY, multiply) DO(DIVIDE, divide)

// y = a op b
#define BINARY(CODE, NAME)                                                                  \
  KERNEL binary_##NAME(const REAL* a, const REAL* b, REAL* y, Index n) {                    \
    binary<CODE>(a, b, y, n);                                                               \
  }
OPERATIONS(BINARY)

// y = x
KERNEL copy(const REAL* x, REAL* y, Index n) {
  sweep(
      n, aligned(x) && aligned(y), [=](Index j) { store(y, j, load(x, j)); },
      [=](Index i) { y[i] = x[i]; });
}

// y = value
KERNEL fill(REAL* y, Index n, Number value) {
  const REAL one = REAL(value());
  sweep(
      n, aligned(y),
      [=](Index j) {
        Pack pack;
        for (int k = 0; k < WIDTH; ++k) pack.v[k] = one;
        store(y, j, pack);
      },
      [=](Index i) { y[i] = one; });
}

// The words of a page: numbers that stand in memory for launches behind this one.
constexpr int WORDS = 32;
struct Page {
  Counter w[WORDS];
};

// to = page. A launch keeps its arguments as they are when it is made, so the host may write the
// next page at once; a copy would need the host's memory until it is done.
KERNEL set_page(Counter* to, Page page) {
  for (Index i = first(); i < WORDS; i += stride()) to[i] = page.w[i];
}
