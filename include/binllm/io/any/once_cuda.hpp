// SPDX-License-Identifier: MIT
/// The same for GPUs (once.hpp), where formats that only run have no layers; defined in cuda.cpp.
#pragma once
#include <binllm/device/cuda.hpp>
#include <binllm/io/any/once.hpp>

namespace binllm {

extern template class LinearOf<TypeAt<0, ShippedFormatTypes>, float, Cuda>;
extern template class FormatOf<TypeAt<0, ShippedFormatTypes>, float, Cuda>;
extern template class LinearOf<TypeAt<1, ShippedFormatTypes>, float, Cuda>;
extern template class FormatOf<TypeAt<1, ShippedFormatTypes>, float, Cuda>;
extern template class LinearOf<TypeAt<2, ShippedFormatTypes>, float, Cuda>;
extern template class FormatOf<TypeAt<2, ShippedFormatTypes>, float, Cuda>;
extern template class LinearOf<TypeAt<0, ShippedFormatTypes>, bf16, Cuda>;
extern template class FormatOf<TypeAt<0, ShippedFormatTypes>, bf16, Cuda>;
extern template class LinearOf<TypeAt<1, ShippedFormatTypes>, bf16, Cuda>;
extern template class FormatOf<TypeAt<1, ShippedFormatTypes>, bf16, Cuda>;
extern template class LinearOf<TypeAt<2, ShippedFormatTypes>, bf16, Cuda>;
extern template class FormatOf<TypeAt<2, ShippedFormatTypes>, bf16, Cuda>;

}  // namespace binllm
