// SPDX-License-Identifier: MIT
void decode(Shelf& shelf, Dense& dense);
