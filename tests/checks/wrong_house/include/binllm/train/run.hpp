// SPDX-License-Identifier: MIT
void train(Plank<float>& part, Planks& others);
