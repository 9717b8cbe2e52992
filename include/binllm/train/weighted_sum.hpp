// SPDX-License-Identifier: MIT
/// Sums of objectives. However many terms ask for it, the student runs once, and so does each teacher: those whose terms
/// call it `teacher`, and the states that they compare `layers`. A term that asks for other states, or those of other
/// ids, has a pass of its own.
#pragma once
#include <binllm/train/objective.hpp>

#include <tuple>
#include <utility>

namespace binllm {

namespace detail {
[[nodiscard]] inline bool has_all(const std::vector<Index>& all, std::span<const Index> wanted) {
  return std::all_of(wanted.begin(), wanted.end(),
                     [&](Index state) { return std::find(all.begin(), all.end(), state) != all.end(); });
}
template <class T, class Device>
[[nodiscard]] bool same_place(View<const T, Device> a, View<const T, Device> b) {
  return a.data == b.data && a.shape == b.shape;
}
/// Of states behind `all` those behind `wanted`, every one of which is among them.
template <class T, class Device>
[[nodiscard]] ForwardStates<T, Device> chosen(const ForwardStates<T, Device>& states, const std::vector<Index>& all,
                                              std::span<const Index> wanted) {
  ForwardStates<T, Device> some{{}, states.final};
  for (const Index state : wanted) {
    const auto at = std::find(all.begin(), all.end(), state) - all.begin();
    some.behind.push_back(states.behind[static_cast<std::size_t>(at)]);
  }
  return some;
}
}  // namespace detail

/// A model in the eyes of several objectives: it runs when the first of them asks, and the others get the same states.
template <class Model>
class SharedForward {
 public:
  using value_type = typename Model::value_type;
  using device = typename Model::device;
  using Master = master_t<value_type>;
  using Ids = View<const std::int32_t, device>;
  using PassOf = Pass<value_type, device>;

  SharedForward(Model& model, std::vector<Index> wanted) : model_(model), wanted_(std::move(wanted)) {}

  [[nodiscard]] auto hidden(PassOf& pass, Ids ids) {
    return serves(ids) ? run(pass, ids).final : model_.hidden(pass, ids);
  }
  [[nodiscard]] ForwardStates<value_type, device> states(PassOf& pass, Ids ids, std::span<const Index> wanted) {
    if (!serves(ids) || !detail::has_all(wanted_, wanted)) return hidden_states(pass, model_, ids, wanted);
    return detail::chosen(run(pass, ids), wanted_, wanted);
  }
  [[nodiscard]] auto head(PassOf& pass) { return model_.head(pass); }
  template <class V, class... Self>
  static void visit(V&& v, Self&... self) {
    std::remove_const_t<Model>::visit(v, self.model_...);
  }

 private:
  [[nodiscard]] bool serves(Ids ids) const { return !states_ || detail::same_place(ids_, ids); }
  [[nodiscard]] const ForwardStates<value_type, device>& run(PassOf& pass, Ids ids) {
    if (!states_) states_ = hidden_states(pass, model_, ids, std::span<const Index>(wanted_)), ids_ = ids;
    return *states_;
  }

  Model& model_;
  std::vector<Index> wanted_;
  Ids ids_{};  // those that states_ are of
  std::optional<ForwardStates<value_type, device>> states_;
};
template <class Model, class T, class Device>
[[nodiscard]] ForwardStates<T, Device> hidden_states(Pass<T, Device>& pass, SharedForward<Model>& model,
                                                     View<const std::int32_t, Device> ids,
                                                     std::span<const Index> wanted) {
  return model.states(pass, ids, wanted);
}

/// The same of a teacher, for one pass.
template <class T, class Device>
class SharedTeacher final : public Teacher<T, Device> {
 public:
  /// Errors: option_out_of_range without a teacher.
  explicit SharedTeacher(TeacherPointer<T, Device> teacher) : teacher_(std::move(teacher)) {
    detail::check_teacher("sum", teacher_);
  }
  [[nodiscard]] bool stands_for(const TeacherPointer<T, Device>& teacher) const { return teacher_ == teacher; }
  void want(const std::vector<Index>& states) { wanted_.insert(wanted_.end(), states.begin(), states.end()); }

  [[nodiscard]] ForwardStates<T, Device> hidden_states(Tape<Device>& tape, View<const std::int32_t, Device> ids,
                                                       std::span<const Index> wanted) const override {
    const bool serves = !states_ || detail::same_place(ids_, ids);
    if (!serves || !detail::has_all(wanted_, wanted)) return teacher_->hidden_states(tape, ids, wanted);
    if (!states_) states_ = teacher_->hidden_states(tape, ids, wanted_), ids_ = ids;
    return detail::chosen(*states_, wanted_, wanted);
  }
  [[nodiscard]] Variable<master_t<T>, Device> head(Tape<Device>& tape) const override { return teacher_->head(tape); }

 private:
  TeacherPointer<T, Device> teacher_;
  std::vector<Index> wanted_;
  mutable View<const std::int32_t, Device> ids_{};
  mutable std::optional<ForwardStates<T, Device>> states_;
};

template <class Objective>
struct Weighted {
  double weight = 1;
  Objective objective;
};
template <class Objective>
Weighted(double, Objective) -> Weighted<Objective>;

/// sum(Weighted{1.0, Distillation{teacher}}, Weighted{0.1, HiddenStates{teacher, {0, 4}}}): their losses, weighted.
template <class... Objectives>
struct WeightedSum {
  std::tuple<Weighted<Objectives>...> terms;

  template <class T, class Device, class Model>
  [[nodiscard]] Variable<master_t<T>, Device> loss(Pass<T, Device>& pass, Model& model,
                                                   const Batch<Device>& batch) const {
    std::vector<Index> wanted;
    std::vector<std::shared_ptr<SharedTeacher<T, Device>>> teachers;
    const auto gather = [&](const auto& objective) {
      if constexpr (requires { objective.layers; })
        wanted.insert(wanted.end(), objective.layers.begin(), objective.layers.end());
      if constexpr (requires { objective.teacher; }) {
        const auto& shared = shared_for(objective.teacher, teachers);
        if constexpr (requires { objective.layers; }) shared->want(objective.layers);
      }
    };
    std::apply([&](const auto&... term) { (gather(term.objective), ...); }, terms);
    SharedForward<Model> shared(model, std::move(wanted));
    const auto loss_of = [&](auto objective) {  // a copy, which learns from the shared teacher
      if constexpr (requires { objective.teacher; }) objective.teacher = shared_for(objective.teacher, teachers);
      return objective.loss(pass, shared, batch);
    };
    return std::apply(
        [&](const auto&... term) {
          return detail::weighted_sum(std::array{loss_of(term.objective)...}, std::array{term.weight...});
        },
        terms);
  }

  /// What all terms want for a token, and how each of them fills it.
  [[nodiscard]] std::vector<TokenDataShape> token_data() const {
    std::vector<TokenDataShape> all;
    each([&](const auto& objective) {
      if constexpr (requires { objective.token_data(); }) {
        for (TokenDataShape& shape : objective.token_data()) all.push_back(std::move(shape));
      }
    });
    return all;
  }
  void fill(const HostBatch& batch) const {
    each([&](const auto& objective) {
      if constexpr (requires { objective.fill(batch); }) objective.fill(batch);
    });
  }

 private:
  template <class F>
  void each(const F& f) const {
    std::apply([&](const auto&... term) { (f(term.objective), ...); }, terms);
  }
  template <class T, class Device>
  [[nodiscard]] static const std::shared_ptr<SharedTeacher<T, Device>>& shared_for(
      const TeacherPointer<T, Device>& teacher, std::vector<std::shared_ptr<SharedTeacher<T, Device>>>& teachers) {
    for (const auto& known : teachers) {
      if (known->stands_for(teacher)) return known;
    }
    return teachers.emplace_back(std::make_shared<SharedTeacher<T, Device>>(teacher));
  }
};

template <class... Objectives>
[[nodiscard]] WeightedSum<Objectives...> sum(Weighted<Objectives>... terms) {
  return {{std::move(terms)...}};
}

}  // namespace binllm
