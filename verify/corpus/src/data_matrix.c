/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Integer matrices: products, transposition, determinant modulo a prime. */
#include "corpus.h"

#define N 9
#define P 1000003

PROGRAM(data_matrix)
{
	s64 a[N][N], b[N][N], c[N][N] = {{0}}, determinant = 1;
	u64 seed = corpus_seed, digest = 0;

	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j++) {
			a[i][j] = (s64)(next(&seed) % P);
			b[j][i] = (s64)(next(&seed) % P) - P / 2;
		}
	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j++)
			for (int k = 0; k < N; k++)
				c[i][j] += a[i][k] * b[k][j] % P;
	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j++)
			digest = mix(digest, (u64)c[i][j]);
	for (int i = 0; i < N; i++) {
		s64 inverse = 1, base = a[i][i];
		determinant = determinant * base % P;
		for (u32 e = P - 2; e; e >>= 1, base = base * base % P)
			if (e & 1)
				inverse = inverse * base % P;
		for (int r = i + 1; r < N; r++) {
			s64 factor = a[r][i] * inverse % P;
			for (int k = i; k < N; k++)
				a[r][k] = ((a[r][k] - factor * a[i][k]) % P + P) % P;
		}
	}
	return mix(digest, (u64)determinant);
}
