/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Shortest ways in a graph: Dijkstra and Floyd must agree. */
#include "corpus.h"

#define N 16

PROGRAM(data_graph)
{
	u32 graph[N][N], all[N][N];
	u64 seed = corpus_seed, digest = 0;

	for (u32 i = 0; i < N; i++)
		for (u32 j = 0; j < N; j++)
			graph[i][j] = i == j ? 0 : next(&seed) % 4 ? 100000 : (u32)(seed >> 40) % 100 + 1;
	memcpy(all, graph, sizeof(all));
	for (u32 k = 0; k < N; k++)
		for (u32 i = 0; i < N; i++)
			for (u32 j = 0; j < N; j++)
				if (all[i][k] + all[k][j] < all[i][j])
					all[i][j] = all[i][k] + all[k][j];
	for (u32 from = 0; from < N; from += 5) {
		u32 way[N], done = 0;
		for (u32 i = 0; i < N; i++)
			way[i] = i == from ? 0 : 100000;
		for (u32 rounds = 0; rounds < N; rounds++) {
			u32 nearest = N;
			for (u32 i = 0; i < N; i++)
				if (!(done >> i & 1) && (nearest == N || way[i] < way[nearest]))
					nearest = i;
			done |= 1u << nearest;
			for (u32 i = 0; i < N; i++)
				if (way[nearest] + graph[nearest][i] < way[i])
					way[i] = way[nearest] + graph[nearest][i];
		}
		digest = mix(digest, (u64)memcmp(way, all[from], sizeof(way)));
		for (u32 i = 0; i < N; i++)
			digest = mix(digest, way[i]);
	}
	return digest;
}
