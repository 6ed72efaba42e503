// What stands around the products of recurrent layers, for one step and all sequences at a time.
//
// The products with the inputs are made for all steps before the loop, and those for the weights
// behind it; one step is the product with the state and one of these kernels. A sequence that has
// ended keeps its state, gives 0 and gets no gradient: `lengths` may be null.
#include "common.cuh"
#include "axes.cuh"

DEVICE bool inside(const Index* lengths, Index n, Index t) {
  return lengths == nullptr || t < lengths[n];
}
DEVICE REAL bias(const REAL* b, const REAL* d, Index i) {
  return (b == nullptr ? REAL(0) : b[i]) + (d == nullptr ? REAL(0) : d[i]);
}
// 1 / (1 + e^-x) = (1 + tanh(x / 2)) / 2, which cannot overflow.
DEVICE REAL gate(REAL x) { return REAL(0.5) * tanh(REAL(0.5) * x) + REAL(0.5); }

// Sequence and unit of element i of (N, units).
struct Unit {
  Index n, u;
  DEVICE Unit(Index i, Index units) : n(quotient(i, units)), u(i - n * units) {}
};

DEVICE void set_state(REAL* state, REAL* y, Index i, bool here, REAL now, REAL before) {
  state[i] = here ? now : before;
  if (y != nullptr) y[i] = here ? now : REAL(0);
}

// H_t = tanh(a + z + b + d), or the larger of it and 0. `y` is null where it is the state itself.
KERNEL rnn_step(const REAL* a, const REAL* z, const REAL* b, const REAL* d, const REAL* before,
                const Index* lengths, REAL* state, REAL* y, Index count, Index units, Index t,
                int relu) {
  for (Index i = first(); i < count; i += stride()) {
    const Unit at(i, units);
    const REAL sum = a[i] + z[i] + bias(b, d, at.u);
    const REAL now = !relu ? tanh(sum) : sum <= 0 ? REAL(0) : sum;
    set_state(state, y, i, inside(lengths, at.n, t), now, before[i]);
  }
}

// dz = (dy + dh) slope, 0 beyond the end of a sequence. `dy` may be null.
KERNEL rnn_step_backward(const REAL* dy, const REAL* dh, const REAL* state, const Index* lengths,
                         REAL* dz, Index count, Index units, Index t, int relu) {
  for (Index i = first(); i < count; i += stride()) {
    const Unit at(i, units);
    const REAL given = dy == nullptr ? dh[i] : dh[i] + dy[i];
    const REAL slope = !relu ? REAL(1) - state[i] * state[i] : state[i] <= 0 ? REAL(0) : REAL(1);
    dz[i] = inside(lengths, at.n, t) ? given * slope : REAL(0);
  }
}

// dh = what came through the product, plus `add` unless it is null; beyond the end it stays.
KERNEL carry_gradient(const REAL* through, const REAL* add, const Index* lengths, REAL* dh,
                      Index count, Index units, Index t) {
  for (Index i = first(); i < count; i += stride())
    if (inside(lengths, Unit(i, units).n, t))
      dh[i] = add == nullptr ? through[i] : through[i] + add[i];
}

// sum = dh + dy, 0 beyond the end. `dy` may be null.
KERNEL given_gradient(const REAL* dy, const REAL* dh, const Index* lengths, REAL* sum, Index count,
                      Index units, Index t) {
  for (Index i = first(); i < count; i += stride()) {
    const REAL given = dy == nullptr ? dh[i] : dh[i] + dy[i];
    sum[i] = inside(lengths, Unit(i, units).n, t) ? given : REAL(0);
  }
}

// The state where it is not what a step has computed, but its projection.
KERNEL choose_state(const REAL* now, const REAL* before, const Index* lengths, REAL* state, REAL* y,
                    Index count, Index units, Index t) {
  for (Index i = first(); i < count; i += stride())
    set_state(state, y, i, inside(lengths, Unit(i, units).n, t), now[i], before[i]);
}

// Gates i, f, g and o, the cells, and o tanh(C): as the state, or in `hidden` unless it is null.
KERNEL lstm_step(const REAL* a, const REAL* z, const REAL* b, const REAL* d, const REAL* cells_before,
                 const REAL* before, const Index* lengths, REAL* gates, REAL* cells, REAL* hidden,
                 REAL* state, REAL* y, Index count, Index units, Index t) {
  for (Index i = first(); i < count; i += stride()) {
    const Unit at(i, units);
    REAL g[4];
    for (int k = 0; k < 4; ++k) {
      const Index column = k * units + at.u, place = at.n * 4 * units + column;
      const REAL sum = a[place] + z[place] + bias(b, d, column);
      gates[place] = g[k] = k == 2 ? tanh(sum) : gate(sum);
    }
    const REAL cell = g[1] * cells_before[i] + g[0] * g[2], out = g[3] * tanh(cell);
    const bool here = inside(lengths, at.n, t);
    cells[i] = here ? cell : cells_before[i];
    if (hidden != nullptr)
      hidden[i] = out;
    else
      set_state(state, y, i, here, out, before[i]);
  }
}

// dz, and dc for the step before. `dm` is the gradient of o tanh(C), or dy and dh add up to it.
KERNEL lstm_step_backward(const REAL* dy, const REAL* dh, const REAL* dm, const REAL* gates,
                          const REAL* cells, const REAL* cells_before, const Index* lengths,
                          REAL* dc, REAL* dz, Index count, Index units, Index t) {
  for (Index i = first(); i < count; i += stride()) {
    const Unit at(i, units);
    const bool here = inside(lengths, at.n, t);
    const Index place = at.n * 4 * units + at.u;
    const REAL in = gates[place], f = gates[place + units], g = gates[place + 2 * units];
    const REAL o = gates[place + 3 * units], bent = tanh(cells[i]);
    const REAL m = dm != nullptr ? dm[i] : dy == nullptr ? dh[i] : dh[i] + dy[i];
    const REAL of_c = dc[i] + m * (o * (REAL(1) - bent * bent));
    dz[place] = here ? of_c * (g * in * (REAL(1) - in)) : REAL(0);
    dz[place + units] = here ? of_c * (cells_before[i] * f * (REAL(1) - f)) : REAL(0);
    dz[place + 2 * units] = here ? of_c * (in * (REAL(1) - g * g)) : REAL(0);
    dz[place + 3 * units] = here ? m * (bent * o * (REAL(1) - o)) : REAL(0);
    if (here) dc[i] = of_c * f;
  }
}

// hidden = o tanh(C) of all steps
KERNEL lstm_hidden(const REAL* gates, const REAL* cells, REAL* hidden, Index count, Index units) {
  for (Index i = first(); i < count; i += stride()) {
    const Unit at(i, units);
    hidden[i] = gates[(at.n * 4 + 3) * units + at.u] * tanh(cells[i]);
  }
}

// Gates r, z and n, the part of n's product that r is a factor of, and the state.
KERNEL gru_step(const REAL* a, const REAL* z, const REAL* b, const REAL* d, const REAL* before,
                const Index* lengths, REAL* gates, REAL* products, REAL* state, REAL* y,
                Index count, Index units, Index t) {
  for (Index i = first(); i < count; i += stride()) {
    const Unit at(i, units);
    const Index place = at.n * 3 * units + at.u;
    REAL g[2];
    for (int k = 0; k < 2; ++k)
      g[k] = gate(a[place + k * units] + z[place + k * units] + bias(b, d, k * units + at.u));
    const Index last = place + 2 * units, column = 2 * units + at.u;
    const REAL q = z[last] + bias(nullptr, d, column);
    const REAL n = tanh(a[last] + bias(b, nullptr, column) + g[0] * q);
    gates[place] = g[0], gates[place + units] = g[1], gates[last] = n;
    products[i] = q;
    set_state(state, y, i, inside(lengths, at.n, t), n + g[1] * (before[i] - n), before[i]);
  }
}

// da and db, and in `direct` the part of dh that goes past the product.
KERNEL gru_step_backward(const REAL* dy, const REAL* dh, const REAL* gates, const REAL* products,
                         const REAL* before, const Index* lengths, REAL* da, REAL* db,
                         REAL* direct, Index count, Index units, Index t) {
  for (Index i = first(); i < count; i += stride()) {
    const Unit at(i, units);
    const Index place = at.n * 3 * units + at.u, second = place + units, last = second + units;
    const REAL r = gates[place], z = gates[second], n = gates[last];
    REAL given = dy == nullptr ? dh[i] : dh[i] + dy[i];
    if (!inside(lengths, at.n, t)) given = 0;
    const REAL of_n = given * ((REAL(1) - z) * (REAL(1) - n * n));
    da[place] = db[place] = of_n * products[i] * r * (REAL(1) - r);
    da[second] = db[second] = given * ((before[i] - n) * z * (REAL(1) - z));
    da[last] = of_n;
    db[last] = of_n * r;
    direct[i] = given * z;
  }
}
