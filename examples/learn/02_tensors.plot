# Twelve points and the line that Eigen has found.
set xlabel 'x'; set ylabel 'y'; set xrange [-0.1:2.85]
plot table using 1:2 with points linetype 1 pointtype 7 title 'points', table using 1:3 with lines linetype 2 title 'least squares'
