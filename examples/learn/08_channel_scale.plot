# Loud channels have small weights. S_t evens them out.
set xlabel 'input channel'; set logscale y; set yrange [0.1:10]; set xrange [-0.5:11.5]; set key top center
plot table using 1:2 with linespoints linetype 5 pointtype 7 pointsize 0.5 title 'deviation of x', \
     table using 1:3 with linespoints linetype 2 pointtype 7 pointsize 0.5 title 'mean |W|', \
     table using 1:4 with linespoints linetype 1 pointtype 6 title 'S_t, found by stage 1', \
     table using 1:5 with linespoints linetype 3 pointtype 7 pointsize 0.5 title 'mean |W / S_t|'
