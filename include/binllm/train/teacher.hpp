// SPDX-License-Identifier: MIT
/// A model that another one learns from. Whatever its family and format, a student's training sees hidden states and a
/// head: the student's types do not multiply by the teacher's.
#pragma once
#include <binllm/nn/parameter_block.hpp>
#include <binllm/ops/chunked_head.hpp>
#include <binllm/train/forward_states.hpp>

#include <limits>
#include <memory>
#include <utility>

namespace binllm {

/// A teacher of some types, for those who only hand it on.
class AnyTeacher {
 public:
  virtual ~AnyTeacher() = default;
};
using AnyTeacherPointer = std::shared_ptr<const AnyTeacher>;

/// Runs inside the student's step, on its tape, and records nothing: its gradients are never asked for.
template <class T, class Device>
class Teacher : public AnyTeacher {
 public:
  /// States behind so many blocks, and the final ones, of ids (B,T). They hold for the tape's round.
  [[nodiscard]] virtual ForwardStates<T, Device> hidden_states(Tape<Device>& tape, View<const std::int32_t, Device> ids,
                                                              std::span<const Index> wanted) const = 0;
  /// The head's weight (V,C).
  [[nodiscard]] virtual Variable<master_t<T>, Device> head(Tape<Device>& tape) const = 0;

  [[nodiscard]] Variable<T, Device> hidden(Tape<Device>& tape, View<const std::int32_t, Device> ids) const {
    return hidden_states(tape, ids, {}).final;
  }
  /// What distillation compares with.
  [[nodiscard]] TeacherRows<T, Device> rows(Tape<Device>& tape, View<const std::int32_t, Device> ids) const {
    return {hidden(tape, ids), head(tape)};
  }
};

namespace detail {

template <class Model>
class ModelTeacher final : public Teacher<typename Model::value_type, typename Model::device> {
 public:
  using T = typename Model::value_type;
  using Device = typename Model::device;
  using Owned = std::unique_ptr<Model>;

  ModelTeacher(Model* model, Owned owned, double sharpness) : owned_(std::move(owned)), model_(model) {
    scalars_.set(StepScalars<Device>::sharpness, sharpness);
  }
  [[nodiscard]] ForwardStates<T, Device> hidden_states(Tape<Device>& tape, View<const std::int32_t, Device> ids,
                                                       std::span<const Index> wanted) const override {
    const NoGrad<Device> pause(tape);
    Pass<T, Device> pass{tape, scalars_};
    if (!wanted.empty()) return binllm::hidden_states(pass, *model_, ids, wanted);
    Mark<Device> region(tape);
    return {{}, region.keep(model_->hidden(pass, ids))};
  }
  [[nodiscard]] Variable<master_t<T>, Device> head(Tape<Device>& tape) const override {
    const NoGrad<Device> pause(tape);
    Pass<T, Device> pass{tape, scalars_};
    return model_->head(pass);
  }

 private:
  Owned owned_;  // empty where the model is borrowed
  Model* model_;
  StepScalars<Device> scalars_;
};

}  // namespace detail

template <class T, class Device>
using TeacherPointer = std::shared_ptr<const Teacher<T, Device>>;

/// A teacher that borrows the model, which must outlive it; or keeps a model that is moved into it, whose gradients it
/// gives back. `sharpness` is its t, where it has estimators: infinity is the sign.
template <class Model>
[[nodiscard]] auto make_teacher(Model&& model, double sharpness = std::numeric_limits<double>::infinity()) {
  using M = std::remove_reference_t<Model>;
  static_assert(RunsInBlocks<M>, "a teacher is a model that runs block by block and has a head");
  std::unique_ptr<M> owned;
  M* borrowed = nullptr;
  if constexpr (std::is_lvalue_reference_v<Model>) {
    borrowed = &model;
  } else {
    owned = std::make_unique<M>(std::move(model));
    borrowed = owned.get();
    if constexpr (M::format_type::trainable) drop_gradients(*owned);
  }
  return TeacherPointer<typename M::value_type, typename M::device>(
      std::make_shared<detail::ModelTeacher<M>>(borrowed, std::move(owned), sharpness));
}

}  // namespace binllm
