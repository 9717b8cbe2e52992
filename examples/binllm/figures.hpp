// SPDX-License-Identifier: MIT
/// Pictures of what runs wrote down, drawn by gnuplot.
#pragma once
#include "shared.hpp"

#include <binllm/io/folders/run_record.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace program {

/// What gnuplot is told, without the kind of picture and its file.
struct Figure {
  std::string script;  ///< empty: there is nothing to draw
  int width = 560, height = 480;
};

/// Above the losses over steps: of training, of validation with F and with Sign; below t, or the learning rate where
/// there is no t. Of several runs each has a colour.
[[nodiscard]] Figure losses_figure(const std::vector<binllm::RunRecord>& runs);
/// Above t(c) of the shipped schedules and of the run; below F(x, t) as it was in its chunks. (Figures 6 and 3)
[[nodiscard]] Figure schedule_figure(const binllm::RunRecord& run);
/// Histograms of the weights of one layer at the ends of chunks. (Figure 7)
[[nodiscard]] Figure weights_figure(const binllm::RunRecord& run);

/// Whether there is a gnuplot on the path.
[[nodiscard]] bool can_draw();
/// Draws into a file that ends in .svg or .png. Errors: file_missing without gnuplot; option_out_of_range for another
/// ending; write_failed.
void draw(const Figure& figure, const fs::path& picture);
/// Draws an SVG element of that title, for a page: it takes the width that it is given. Errors: as above.
[[nodiscard]] std::string svg_of(const Figure& figure, std::string_view title);

/// What gnuplot reads as one word.
[[nodiscard]] std::string gnuplot_word(std::string_view text);
/// The last part of a run's path that is a name.
[[nodiscard]] std::string name_of_run(const fs::path& folder);

}  // namespace program
