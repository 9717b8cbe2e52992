// SPDX-License-Identifier: MIT
/// The training-time methods that the library ships, and the only list of them: --method and its table, config.json,
/// what is compiled for CPU and GPUs, docs/methods/index.md and the tests of all methods follow. A new method is its
/// include and its line here.
#pragma once
#include <binllm/methods/adabin.hpp>
#include <binllm/methods/binaryconnect.hpp>
#include <binllm/methods/binaryllm.hpp>
#include <binllm/methods/binarymos.hpp>
#include <binllm/methods/bitnet.hpp>
#include <binllm/methods/bitnet_158.hpp>
#include <binllm/methods/bnn.hpp>
#include <binllm/methods/db_llm.hpp>
#include <binllm/methods/ede.hpp>
#include <binllm/methods/fbi_llm.hpp>
#include <binllm/methods/forms/binary_factors.hpp>
#include <binllm/methods/forms/grid.hpp>
#include <binllm/methods/forms/planes.hpp>
#include <binllm/methods/hestia.hpp>
#include <binllm/methods/inq.hpp>
#include <binllm/methods/irnet.hpp>
#include <binllm/methods/linear_blend.hpp>
#include <binllm/methods/method.hpp>
#include <binllm/methods/onebit.hpp>
#include <binllm/methods/paretoq.hpp>
#include <binllm/methods/pb_llm.hpp>
#include <binllm/methods/quest.hpp>
#include <binllm/methods/rbnn.hpp>
#include <binllm/methods/reactnet.hpp>
#include <binllm/methods/strong.hpp>
#include <binllm/methods/vanilla.hpp>
#include <binllm/methods/xnor_net.hpp>
#include <binllm/models/formats.hpp>

namespace binllm {

using ShippedMethods = TypeList<Vanilla, BinaryConnect, Bnn, XnorNet, XnorNetFull, Inq, IrNet, Ede, Rbnn, ReActNet,
                                ReActNetW1A16, AdaBin, BitNet, BitNetW1A16, BitNet158, BitNet158SubNorm, PbLlm, OneBit,
                                DbLlm, BinaryMos, FbiLlm, LinearBlend, ParetoQ, Quest, Hestia, BinaryLlm, Strong>;

/// Stored forms that no kind of a method above has as its own, such as those of methods after training.
using ShippedForms = TypeList<Grid, SignPlanes, BinaryFactors>;

namespace detail {

/// The formats of a method that are not on the list yet. Policies of the binary kind need none: it has them by name.
template <class Formats, Method M>
struct WithFormatsOf {
  using kind = typename M::template kind<float>;
  template <class List, class K>
  struct Trains {
    using type = Added<List, Quantised<K>>;
  };
  template <class List, class K>
  requires requires { typename K::recipe; }
  struct Trains<List, K> {
    using type = List;
  };
  template <class List, class K>
  struct Runs {
    using type = List;
  };
  template <class List, class K>
  requires requires { typename K::Form; }
  struct Runs<List, K> {
    using type = std::conditional_t<list_has<Stored<typename K::Form>, CommonFormats>, List,
                                    Added<List, Stored<typename K::Form>>>;
  };
  using type = typename Runs<typename Trains<Formats, kind>::type, kind>::type;
};

template <class Formats, class Methods>
struct FormatsOf {
  using type = Formats;
};
template <class Formats, class M, class... Rest>
struct FormatsOf<Formats, TypeList<M, Rest...>>
    : FormatsOf<typename WithFormatsOf<Formats, M>::type, TypeList<Rest...>> {};

template <class Formats, class... Forms>
[[nodiscard]] auto with_forms(TypeList<Forms...>) -> JoinedTypes<Formats, TypeList<Stored<Forms>...>>;

}  // namespace detail

/// Formats beside those that every program knows: of each method the one that trains and the one that runs.
using MethodFormats =
    decltype(detail::with_forms<typename detail::FormatsOf<TypeList<>, ShippedMethods>::type>(ShippedForms{}));
/// What config.json may name.
using ShippedFormats = JoinedTypes<CommonFormats, MethodFormats>;

}  // namespace binllm
