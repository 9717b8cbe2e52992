// SPDX-License-Identifier: MIT
/// One walk over the blocks of a model with what enters their linear layers: what methods that quantise a trained model
/// are written on.
///
///     walk_blocks(model, ids, [](auto& step) {
///       step.for_each_input([&](auto full, auto present) { ... });   // (tokens, channels)
///       for (auto& [name, linear] : step.linears) ...                // write to linear->weight.value
///     });
///
/// calls the method for each block from the first to the last, and in a block for the linear layers of each role in the
/// order q/k/v, o, gate/up, down. It sees their inputs twice: as they are in the model that the walk began with, and as
/// they are now that everything before has been changed. A method that has before_block(steps) is shown all roles of a
/// block first.
#pragma once
#include <binllm/device/host.hpp>
#include <binllm/models/causal_lm.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace binllm {

struct WalkOptions {
  Index windows_at_once = 1;                                   ///< that run through a block together
  double sharpness = std::numeric_limits<double>::infinity();  ///< t of models that have estimators
};

template <LanguageModel Model>
class BlockWalk;

/// The linear layers of one role in one block.
template <LanguageModel Model>
class RoleStep {
 public:
  using T = typename Model::value_type;
  using Device = typename Model::device;
  using Linear = LinearLayer<T, Device, typename Model::format_type>;

  Index block;
  Role role;
  std::vector<NamedLinear<Linear>> linears;

  /// Runs all windows through the block, and calls see(full, present) with views (tokens, channels) of what enters
  /// these layers. The views hold for the call.
  template <class See>
  void for_each_input(const See& see) {
    walk_.for_each_input(*this, see);
  }
  /// The same of what enters now alone, see(present), in half the time.
  template <class See>
  void for_each_present_input(const See& see) {
    walk_.for_each_present_input(*this, see);
  }

 private:
  friend class BlockWalk<Model>;
  RoleStep(BlockWalk<Model>& walk, Index i, Role chosen) : block(i), role(chosen), walk_(walk) {}
  BlockWalk<Model>& walk_;
};

namespace detail {

/// The parameters and buffers of a module as they are now, to be put in their places for a while.
template <class Device>
class ModuleCopy {
 public:
  template <class Module>
  explicit ModuleCopy(Module& module) {
    for_each_leaf(
        "", [&](const std::string&, auto& leaf) { keep(leaf); }, module);
  }
  /// While it lives the copy stands in the module's places.
  class InPlace {
   public:
    explicit InPlace(const ModuleCopy& copy) : copy_(copy) { copy_.exchange(); }
    ~InPlace() { copy_.exchange(); }
    InPlace(const InPlace&) = delete;
    InPlace& operator=(const InPlace&) = delete;

   private:
    const ModuleCopy& copy_;
  };

 private:
  struct Place {
    std::shared_ptr<void> copy;
    void* leaf;
    void (*swap)(void* leaf, void* copy);
  };
  template <class X>
  struct Values {
    Tensor<X, Device> owned;
    View<X, Device> view;
    explicit Values(View<const X, Device> from) : owned(from.shape), view(owned.view()) {
      Backend<Device>::copy(view.data, from.data, static_cast<std::size_t>(from.size()) * sizeof(X));
    }
  };
  template <class X>
  void keep(Parameter<X, Device>& parameter) {
    if (parameter.size() == 0) return;
    places_.push_back(
        {std::make_shared<Values<X>>(read(parameter.value)), &parameter.value, [](void* leaf, void* copy) {
           std::swap(*static_cast<View<X, Device>*>(leaf), static_cast<Values<X>*>(copy)->view);
         }});
  }
  template <class X>
  void keep(Tensor<X, Device>& tensor) {
    places_.push_back({std::make_shared<Values<X>>(read(tensor.view())), &tensor, [](void* leaf, void* copy) {
                         std::swap(*static_cast<Tensor<X, Device>*>(leaf), static_cast<Values<X>*>(copy)->owned);
                       }});
  }
  /// Leaves of formats that only run: no walk is over one.
  template <class Leaf>
  void keep(Leaf&) {}
  void exchange() const noexcept {
    for (const Place& place : places_) place.swap(place.leaf, place.copy.get());
  }

  std::vector<Place> places_;
};

/// Shows what enters the linear layers of one role.
template <class T, class Device, class Show>
class RoleObserver final : public InputObserver<T, Device> {
 public:
  RoleObserver(Role role, const Show& show) : role_(role), show_(show) {}
  void see(Index, Role role, Variable<T, Device> x) override {
    const auto value = read(x.value());
    if (role == role_) show_(value.reshaped(Shape{value.rows(), value.cols()}));
  }

 private:
  Role role_;
  const Show& show_;
};

}  // namespace detail

/// Memory beside the model: one block, the hidden states of all windows twice, and what enters one role's layers in the
/// windows that run together.
template <LanguageModel Model>
class BlockWalk {
 public:
  using T = typename Model::value_type;
  using Device = typename Model::device;
  static_assert(Model::format_type::trainable, "a walk changes weights: those of a stored form are fixed");

  /// ids (windows, tokens). Errors: rank_unsupported, empty_tensor, option_out_of_range, token_out_of_range.
  BlockWalk(Model& model, View<const std::int32_t> ids, const WalkOptions& options)
      : model_(model), at_once_(options.windows_at_once), windows_((check(model, ids, options), ids.shape[0])) {
    scalars_.set(StepScalars<Device>::sharpness, options.sharpness);
    const Shape shape{windows_, ids.shape[1], model.config.hidden_size};
    full_ = Tensor<T, Device>(shape);
    present_ = Tensor<T, Device>(shape);
    Tensor<std::int32_t, Device> there(ids.shape);
    copy_to_device(ids, there.view());
    in_parts([&](Index first, Index count) {
      Pass<T, Device> pass{tape_, scalars_};
      const auto h = read(model_.embed(pass, read(there.view().middle_rows(first, count))).value());
      put(h, part(full_, first, count)), put(h, part(present_, first, count));
    });
  }

  template <class Method>
  void run(Method& method) {
    for (Index i = 0; i < model_.blocks(); ++i) {
      auto& layer = model_.layers[static_cast<std::size_t>(i)];
      Original original(layer);
      original_ = &original;
      std::vector<NamedLinear<typename RoleStep<Model>::Linear>> linears;
      detail::collect_linears(std::string(Model::architecture::names.layers) + "." + std::to_string(i), layer, linears);
      std::vector<RoleStep<Model>> steps;
      for (const Role role : {Role::attention_in, Role::attention_out, Role::mlp_in, Role::mlp_out}) {
        RoleStep<Model>& step = steps.emplace_back(RoleStep<Model>(*this, i, role));
        for (const auto& named : linears) {
          if (named.linear->shape.role == role) step.linears.push_back(named);
        }
      }
      if constexpr (requires { method.before_block(steps); }) method.before_block(steps);
      for (RoleStep<Model>& step : steps) method(step);
      in_parts([&](Index first, Index count) {
        advance(i, part(present_, first, count));
        const typename Original::InPlace before(original);
        advance(i, part(full_, first, count));
      });
    }
  }

 private:
  friend class RoleStep<Model>;
  using Original = detail::ModuleCopy<Device>;

  static void check(const Model& model, View<const std::int32_t> ids, const WalkOptions& options) {
    check_rank("walk_blocks", "ids", ids.shape, 2);
    check_not_empty("walk_blocks", "ids", ids.shape);
    check_token_ids("walk_blocks", ids, model.config.vocab_size);
    if (options.windows_at_once < 1)
      throw Error(ErrorId::option_out_of_range, "walk_blocks", "windows_at_once", "at least 1",
                  fmt::format("{}", options.windows_at_once));
  }
  [[nodiscard]] static View<T, Device> part(Tensor<T, Device>& states, Index first, Index count) {
    const Index tokens = states.shape()[1], channels = states.shape()[2];
    return {states.view().data + first * tokens * channels, Shape{count, tokens, channels}};
  }
  static void put(View<const T, Device> from, View<T, Device> to) {
    Backend<Device>::copy(to.data, from.data, static_cast<std::size_t>(from.size()) * sizeof(T));
  }
  template <class F>
  void in_parts(const F& f) {
    for (Index first = 0; first < windows_; first += at_once_) {
      tape_.reset();
      const NoGrad<Device> pause(tape_);
      f(first, std::min(at_once_, windows_ - first));
    }
  }
  [[nodiscard]] Variable<T, Device> through(Index i, View<T, Device> h, InputObserver<T, Device>* observer = nullptr) {
    Pass<T, Device> pass{tape_, scalars_, nullptr, false, observer};
    return model_.run_block(pass, i, tape_.borrow(h));
  }
  void advance(Index i, View<T, Device> h) { put(read(through(i, h).value()), h); }

  template <class See>
  void for_each_input(const RoleStep<Model>& step, const See& see) {
    Tensor<T, Device> full;
    const auto keep = [&](View<const T, Device> x) {
      if (!(full.shape() == x.shape)) full = Tensor<T, Device>(x.shape);
      put(x, full.view());
    };
    in_parts([&](Index first, Index count) {
      {
        const typename Original::InPlace before(*original_);
        detail::RoleObserver<T, Device, decltype(keep)> observer(step.role, keep);
        static_cast<void>(through(step.block, part(full_, first, count), &observer));
      }
      const auto show = [&](View<const T, Device> x) { see(read(full.view()), x); };
      detail::RoleObserver<T, Device, decltype(show)> observer(step.role, show);
      static_cast<void>(through(step.block, part(present_, first, count), &observer));
    });
  }
  template <class See>
  void for_each_present_input(const RoleStep<Model>& step, const See& see) {
    in_parts([&](Index first, Index count) {
      detail::RoleObserver<T, Device, See> observer(step.role, see);
      static_cast<void>(through(step.block, part(present_, first, count), &observer));
    });
  }

  Model& model_;
  Index at_once_, windows_;
  Tensor<T, Device> full_, present_;  ///< (windows, T, C): what enters the block, in both models
  Original* original_ = nullptr;
  StepScalars<Device> scalars_;
  Tape<Device> tape_;
};

/// Walks over the blocks of a model and calls method(step) for the linear layers of each role, which it may change in
/// place: parameters and buffers of a dense or quantised model. `ids` (windows, tokens) are the calibration data.
/// Errors: rank_unsupported, empty_tensor, option_out_of_range, token_out_of_range, index_out_of_range (too long).
template <LanguageModel Model, class Method>
void walk_blocks(Model& model, View<const std::int32_t> ids, Method&& method, const WalkOptions& options = {}) {
  BlockWalk<Model>(model, ids, options).run(method);
}

}  // namespace binllm
