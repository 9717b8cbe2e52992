// SPDX-License-Identifier: MIT
void save(const Model<Any, Board<float>>& model);
void save(const Model<Any, Quantised<Any>>& model);
void say(const char* text = "Plank, hammer");
