// SPDX-License-Identifier: MIT
void convert(Windmill& from);  // the list of families alone may say so
void convert(Model<Any, Dense>& from);
