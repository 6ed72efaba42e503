"""Derivations of functions of matrices: what they share, and those too long for their file."""

BY_CHANGES = (
    r"Change A a little, by $\delta A$ (δ is of the one letter after it), and write $\langle H, T "
    r"\rangle = \sum_{ij} H_{ij} T_{ij}$. To first order the loss changes by $\delta L = \langle "
    r"\frac{\partial L}{\partial A}, \delta A \rangle$: the gradient is what stands beside $\delta "
    r"A$ in the end. A factor goes to the other side transposed: $$\langle H, D \, T E \rangle = "
    r"\sum_{ijkl} H_{ij} D_{ik} T_{kl} E_{lj} \\ = \langle D^\top H E^\top, T \rangle$$"
)

OF_SYMMETRIC = (
    r"As $\delta S = \frac{1}{2} (\delta A + \delta A^\top)$, and $\langle G, \delta A^\top "
    r"\rangle = \langle G^\top, \delta A \rangle$: $$\delta L = \langle G, \delta S \rangle = "
    r"\left\langle \tfrac{1}{2} (G + G^\top), \delta A \right\rangle$$"
)

QR_STEPS = (
    BY_CHANGES,
    "Let A have at least as many rows as columns, and these be independent. The product rule on "
    r"$Q R = A$ and on $Q^\top Q = 1$: $$\delta Q \, R + Q \, \delta R = \delta A \\ \delta "
    r"Q^\top Q + Q^\top \delta Q = 0$$ So $X = Q^\top \delta Q$ has $X^\top = -X$.",
    r"The first line times $Q^\top$ from the left and $R^{-1}$ from the right: $$B = Q^\top "
    r"\delta A \, R^{-1} = X + \delta R \, R^{-1}$$ The last term is upper triangular, as R and "
    r"$\delta R$ are. So below the diagonal X is B, on it 0, and above it mirrored with the other "
    r"sign. In $B - X$ that leaves $$(B - X)_{ij} = [i \le j] B_{ij} + [i < j] B_{ji}$$",
    r"So $\delta R = (B - X) R$, and by the first line $\delta Q = \delta A \, R^{-1} - Q (B - "
    r"X)$. The loss changes by $\langle \frac{\partial L}{\partial Q}, \delta Q \rangle + \langle "
    r"\frac{\partial L}{\partial R}, \delta R \rangle$. What stands beside $B - X$ is $M^\top$: "
    r"$$\delta L = \left\langle \frac{\partial L}{\partial Q} R^{-\top}, \delta A \right\rangle + "
    r"\langle M^\top, B - X \rangle \\ M^\top = \frac{\partial L}{\partial R} R^\top - Q^\top "
    r"\frac{\partial L}{\partial Q}$$",
    "Both parts of $B - X$ meet the lower triangle of M, B directly below the diagonal and "
    r"mirrored above it: $$\langle M^\top, B - X \rangle = \sum_{i \le j} M_{ji} B_{ij} + \sum_{i "
    r"> j} M_{ij} B_{ij} \\ = \langle C(M), B \rangle$$ As $B = Q^\top \delta A \, R^{-1}$ this "
    r"adds $Q C(M) R^{-\top}$.",
    r"A wide matrix is $(A_1, A_2)$ with $Q R_1 = A_1$, as above, and $R_2 = Q^\top A_2$. By "
    r"$\delta R_2 = \delta Q^\top A_2 + Q^\top \delta A_2$, $A_2 \frac{\partial L}{\partial "
    r"R_2}^\top$ is added to the gradient of Q first, and that of $A_2$ is $Q \frac{\partial "
    r'L}{\partial R_2}$. The columns that `mode="complete"` adds to Q are not determined by A and '
    "have no derivative.",
)

SVD_STEPS = (
    BY_CHANGES,
    r"In products S stands for $\operatorname{diag}(S)$. The product rule on $U S V^\top = A$: "
    r"$$\delta U \, S V^\top + U \, \delta S \, V^\top + U S \, \delta V^\top = \delta A$$ From "
    r"$U^\top U = V^\top V = 1$ follows that $X = U^\top \delta U$ and $Z = V^\top \delta V$ have "
    r"$X^\top = -X$ and $Z^\top = -Z$.",
    r"Times $U^\top$ from the left and V from the right, that is $$B = U^\top \delta A \, V = X S "
    r"+ \delta S - S Z$$ On the diagonal X and Z are 0, so that $\delta S_i = B_{ii}$. Off the "
    r"diagonal: $$B_{ij} = X_{ij} S_j - S_i Z_{ij} \\ B_{ji} = -X_{ij} S_i + S_j Z_{ij}$$",
    "Two equations for $X_{ij}$ and $Z_{ij}$, whose solution has $F_{ij} = 1 / (S_j^2 - S_i^2)$: "
    r"$$X = F \odot (B S + S B^\top) \\ Z = F \odot (S B + B^\top S)$$ Where two singular values "
    "are equal there is no solution, and no derivative; the code has $F_{ij} = 0$ for them. One "
    "that is 0 has no derivative itself, for it is never negative.",
    "Where A is not square, a change may also lead out of what the columns of U or V span. The "
    r"first line times V, less its part along U, and its transpose times U likewise: $$\delta U = "
    r"U X + (1 - U U^\top) \, \delta A \, V S^{-1} \\ \delta V = V Z + (1 - V V^\top) \, \delta "
    r"A^\top U S^{-1}$$",
    r"What comes back to X is $M = U^\top \frac{\partial L}{\partial U}$. As F changes its sign "
    r"when it is transposed, $$\langle M, F \odot (B S + S B^\top) \rangle \\ = \langle (F \odot "
    r"M) S - (F \odot M^\top) S, B \rangle \\ = \langle F \odot \operatorname{skew}(M) \, S, B "
    r"\rangle$$ and with $N = V^\top \frac{\partial L}{\partial V}$, $$\langle N, F \odot (S B + "
    r"B^\top S) \rangle \\ = \langle S \, F \odot \operatorname{skew}(N), B \rangle$$",
    r"All that stands beside B gets U and $V^\top$ around it, for $B = U^\top \delta A \, V$; the "
    r"two parts that lead out are added. The code returns Vh, which is $V^\top$, and so takes the "
    "gradient of V transposed. What `full_matrices` adds to U and V has no derivative.",
)
