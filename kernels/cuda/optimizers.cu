// Optimizer updates: parameter and state in one pass over flat arrays.
//
// Every number that may change from step to step (a learning rate divided by a bias correction) is a
// Number, taken once by each thread. State that an optimizer was not asked to keep is null.
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
DEVICE REAL gradient(REAL p, REAL g, REAL decay, bool maximize) {
  if (maximize) g = -g;
  return decay != 0 ? g + decay * p : g;
}

// m = mu m + keep g (g at the first step), p -= lr (m, or g + mu m)
KERNEL sgd(REAL* P, const REAL* G, REAL* M, Index n, Number late_lr, Number late_momentum,
           Number late_keep, Number late_decay, Number first_step, Number nesterov,
           Number maximize) {
  const REAL lr = REAL(late_lr()), mu = REAL(late_momentum()), keep = REAL(late_keep());
  const REAL decay = REAL(late_decay());
  const bool first = first_step() != 0, ahead = nesterov() != 0, up = maximize() != 0;
  const bool moving = M != nullptr && mu != 0;
  update(P, G, moving ? M : nullptr, nullptr, nullptr, n,
         [=](REAL& p, REAL g, REAL& m, REAL&, REAL&) {
           g = gradient(p, g, decay, up);
           if (moving) {
             m = first ? g : mu * m + keep * g;
             g = ahead ? g + mu * m : m;
           }
           p -= lr * g;
         });
}

// m += (1 - b1) (g - m), v = b2 v + (1 - b2) g^2, p -= rate m / (sqrt(v) / root + eps); `kept` is
// 1 - lr decay for a decoupled decay, 1 without
KERNEL adam(REAL* P, const REAL* G, REAL* M, REAL* V, REAL* Vmax, Index n, Number late_rate,
            Number late_less1, Number late_beta2, Number late_less2, Number late_eps,
            Number late_root, Number late_decay, Number late_kept, Number maximize) {
  const REAL rate = REAL(late_rate()), beta2 = REAL(late_beta2()), eps = REAL(late_eps());
  const REAL less1 = REAL(late_less1()), less2 = REAL(late_less2()), root = REAL(late_root());
  const REAL decay = REAL(late_decay()), kept = REAL(late_kept());
  const bool up = maximize() != 0, largest = Vmax != nullptr;
  update(P, G, M, V, Vmax, n, [=](REAL& p, REAL g, REAL& m, REAL& v, REAL& top) {
    g = gradient(p, g, decay, up);
    if (kept != 1) p *= kept;
    m += less1 * (g - m);
    v = beta2 * v + less2 * (g * g);
    if (largest) top = v > top || v != v ? v : top;
    const REAL rooted = sqrt(largest ? top : v) / root;
    p -= rate * (m / (rooted + eps));
  });
}

// v = alpha v + (1 - alpha) g^2, d = g / (sqrt(v) + eps), m = mu m + d, p -= lr m; centered: less
// the square of the running mean of g under the root
KERNEL rmsprop(REAL* P, const REAL* G, REAL* V, REAL* M, REAL* Mean, Index n, Number late_lr,
               Number late_alpha, Number late_less, Number late_eps, Number late_decay,
               Number late_momentum, Number maximize) {
  const REAL lr = REAL(late_lr()), alpha = REAL(late_alpha()), less = REAL(late_less());
  const REAL eps = REAL(late_eps()), decay = REAL(late_decay()), mu = REAL(late_momentum());
  const bool up = maximize() != 0, moving = M != nullptr && mu != 0, centered = Mean != nullptr;
  update(P, G, V, moving ? M : nullptr, Mean, n,
         [=](REAL& p, REAL g, REAL& v, REAL& m, REAL& mean) {
           g = gradient(p, g, decay, up);
           v = alpha * v + less * (g * g);
           REAL square = v;
           if (centered) {
             mean += less * (g - mean);
             square = v - mean * mean;
           }
           REAL d = g / (sqrt(square) + eps);
           if (moving) {
             m = mu * m + d;
             d = m;
           }
           p -= lr * d;
         });
}

// s += g^2, p -= rate g / (sqrt(s) + eps)
KERNEL adagrad(REAL* P, const REAL* G, REAL* S, Index n, Number late_rate, Number late_eps,
               Number late_decay, Number maximize) {
  const REAL rate = REAL(late_rate()), eps = REAL(late_eps()), decay = REAL(late_decay());
  const bool up = maximize() != 0;
  update(P, G, S, nullptr, nullptr, n, [=](REAL& p, REAL g, REAL& s, REAL&, REAL&) {
    g = gradient(p, g, decay, up);
    s += g * g;
    p -= rate * (g / (sqrt(s) + eps));
  });
}

// v = rho v + (1 - rho) g^2, delta = sqrt(d + eps) / sqrt(v + eps) g, d likewise of delta
KERNEL adadelta(REAL* P, const REAL* G, REAL* V, REAL* D, Index n, Number late_lr,
                Number late_rho, Number late_less, Number late_eps, Number late_decay,
                Number maximize) {
  const REAL lr = REAL(late_lr()), rho = REAL(late_rho()), less = REAL(late_less());
  const REAL eps = REAL(late_eps()), decay = REAL(late_decay());
  const bool up = maximize() != 0;
  update(P, G, V, D, nullptr, n, [=](REAL& p, REAL g, REAL& v, REAL& d, REAL&) {
    g = gradient(p, g, decay, up);
    v = rho * v + less * (g * g);
    const REAL delta = sqrt(d + eps) / sqrt(v + eps) * g;
    d = rho * d + less * (delta * delta);
    p -= lr * delta;
  });
}

// m and v as in adam, p -= rate_g g / r + rate_m m / r with r = sqrt(v / correction) + eps
KERNEL nadam(REAL* P, const REAL* G, REAL* M, REAL* V, Index n, Number late_rate_g,
             Number late_rate_m, Number late_less1, Number late_beta2, Number late_less2,
             Number late_correction, Number late_eps, Number late_decay, Number late_kept,
             Number maximize) {
  const REAL rate_g = REAL(late_rate_g()), rate_m = REAL(late_rate_m());
  const REAL less1 = REAL(late_less1()), beta2 = REAL(late_beta2()), less2 = REAL(late_less2());
  const REAL correction = REAL(late_correction()), eps = REAL(late_eps());
  const REAL decay = REAL(late_decay()), kept = REAL(late_kept());
  const bool up = maximize() != 0;
  update(P, G, M, V, nullptr, n, [=](REAL& p, REAL g, REAL& m, REAL& v, REAL&) {
    g = gradient(p, g, decay, up);
    if (kept != 1) p *= kept;
    m += less1 * (g - m);
    v = beta2 * v + less2 * (g * g);
    const REAL rooted = sqrt(v / correction) + eps;
    p -= rate_g * (g / rooted);
    p -= rate_m * (m / rooted);
  });
}
