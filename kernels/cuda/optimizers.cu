// Optimizer updates: parameter and state in one pass over flat arrays.
//
// Every number that depends on the step (a learning rate divided by a bias correction) is an
// argument. State that an optimizer was not asked to keep is null.
#include "common.cuh"

// Calls rule(p, g, a, b, c) for every element with the values of its parameter, its gradient and
// up to three arrays of state, and writes back what the rule made of p, a, b and c.
template <class Rule>
DEVICE void update(REAL* P, const REAL* G, REAL* A, REAL* B, REAL* C, Index n, Rule rule) {
  const bool packed = aligned(P) && aligned(G) && aligned(A) && aligned(B) && aligned(C);
  sweep(
      n, packed,
      [=](Index j) {
        Pack p = load(P, j), a = {}, b = {}, c = {};
        const Pack g = load(G, j);
        if (A != nullptr) a = load(A, j);
        if (B != nullptr) b = load(B, j);
        if (C != nullptr) c = load(C, j);
        for (int k = 0; k < WIDTH; ++k) rule(p.v[k], g.v[k], a.v[k], b.v[k], c.v[k]);
        store(P, j, p);
        if (A != nullptr) store(A, j, a);
        if (B != nullptr) store(B, j, b);
        if (C != nullptr) store(C, j, c);
      },
      [=](Index i) {
        REAL p = P[i], a = 0, b = 0, c = 0;
        if (A != nullptr) a = A[i];
        if (B != nullptr) b = B[i];
        if (C != nullptr) c = C[i];
        rule(p, G[i], a, b, c);
        P[i] = p;
        if (A != nullptr) A[i] = a;
        if (B != nullptr) B[i] = b;
        if (C != nullptr) C[i] = c;
      });
}

// The gradient with its sign turned, or with the decay of the parameter added.
DEVICE REAL gradient(REAL p, REAL g, REAL decay, int maximize) {
  if (maximize) g = -g;
  return decay != 0 ? g + decay * p : g;
}

// m = mu m + keep g (g at the first step), p -= lr (m, or g + mu m)
KERNEL sgd(REAL* P, const REAL* G, REAL* M, Index n, double lr, double momentum, double keep,
           double decay, int first_step, int nesterov, int maximize) {
  const bool moving = M != nullptr && momentum != 0;
  const REAL mu = REAL(momentum);
  update(P, G, moving ? M : nullptr, nullptr, nullptr, n,
         [=](REAL& p, REAL g, REAL& m, REAL&, REAL&) {
           g = gradient(p, g, REAL(decay), maximize);
           if (moving) {
             m = first_step ? g : mu * m + REAL(keep) * g;
             g = nesterov ? g + mu * m : m;
           }
           p -= REAL(lr) * g;
         });
}

// m += (1 - b1) (g - m), v = b2 v + (1 - b2) g^2, p -= rate m / (sqrt(v) / root + eps); `kept` is
// 1 - lr decay for a decoupled decay, 1 without
KERNEL adam(REAL* P, const REAL* G, REAL* M, REAL* V, REAL* Vmax, Index n, double rate,
            double one_less_beta1, double beta2, double one_less_beta2, double eps, double root,
            double decay, double kept, int maximize) {
  const bool largest = Vmax != nullptr;
  update(P, G, M, V, Vmax, n, [=](REAL& p, REAL g, REAL& m, REAL& v, REAL& top) {
    g = gradient(p, g, REAL(decay), maximize);
    if (kept != 1) p *= REAL(kept);
    m += REAL(one_less_beta1) * (g - m);
    v = REAL(beta2) * v + REAL(one_less_beta2) * (g * g);
    if (largest) top = v > top || v != v ? v : top;
    const REAL rooted = sqrt(largest ? top : v) / REAL(root);
    p -= REAL(rate) * (m / (rooted + REAL(eps)));
  });
}

// v = alpha v + (1 - alpha) g^2, d = g / (sqrt(v) + eps), m = mu m + d, p -= lr m; centered: less
// the square of the running mean of g under the root
KERNEL rmsprop(REAL* P, const REAL* G, REAL* V, REAL* M, REAL* Mean, Index n, double lr,
               double alpha, double one_less_alpha, double eps, double decay, double momentum,
               int maximize) {
  const bool moving = M != nullptr && momentum != 0, centered = Mean != nullptr;
  update(P, G, V, moving ? M : nullptr, Mean, n,
         [=](REAL& p, REAL g, REAL& v, REAL& m, REAL& mean) {
           g = gradient(p, g, REAL(decay), maximize);
           v = REAL(alpha) * v + REAL(one_less_alpha) * (g * g);
           REAL square = v;
           if (centered) {
             mean += REAL(one_less_alpha) * (g - mean);
             square = v - mean * mean;
           }
           REAL d = g / (sqrt(square) + REAL(eps));
           if (moving) {
             m = REAL(momentum) * m + d;
             d = m;
           }
           p -= REAL(lr) * d;
         });
}

// s += g^2, p -= rate g / (sqrt(s) + eps)
KERNEL adagrad(REAL* P, const REAL* G, REAL* S, Index n, double rate, double eps, double decay,
               int maximize) {
  update(P, G, S, nullptr, nullptr, n, [=](REAL& p, REAL g, REAL& s, REAL&, REAL&) {
    g = gradient(p, g, REAL(decay), maximize);
    s += g * g;
    p -= REAL(rate) * (g / (sqrt(s) + REAL(eps)));
  });
}

// v = rho v + (1 - rho) g^2, delta = sqrt(d + eps) / sqrt(v + eps) g, d likewise of delta
KERNEL adadelta(REAL* P, const REAL* G, REAL* V, REAL* D, Index n, double lr, double rho,
                double one_less_rho, double eps, double decay, int maximize) {
  update(P, G, V, D, nullptr, n, [=](REAL& p, REAL g, REAL& v, REAL& d, REAL&) {
    g = gradient(p, g, REAL(decay), maximize);
    v = REAL(rho) * v + REAL(one_less_rho) * (g * g);
    const REAL delta = sqrt(d + REAL(eps)) / sqrt(v + REAL(eps)) * g;
    d = REAL(rho) * d + REAL(one_less_rho) * (delta * delta);
    p -= REAL(lr) * delta;
  });
}

// m and v as in adam, p -= rate_g g / r + rate_m m / r with r = sqrt(v / correction) + eps
KERNEL nadam(REAL* P, const REAL* G, REAL* M, REAL* V, Index n, double rate_g, double rate_m,
             double one_less_beta1, double beta2, double one_less_beta2, double correction,
             double eps, double decay, double kept, int maximize) {
  update(P, G, M, V, nullptr, n, [=](REAL& p, REAL g, REAL& m, REAL& v, REAL&) {
    g = gradient(p, g, REAL(decay), maximize);
    if (kept != 1) p *= REAL(kept);
    m += REAL(one_less_beta1) * (g - m);
    v = REAL(beta2) * v + REAL(one_less_beta2) * (g * g);
    const REAL rooted = sqrt(v / REAL(correction)) + REAL(eps);
    p -= REAL(rate_g) * (g / rooted);
    p -= REAL(rate_m) * (m / rooted);
  });
}
