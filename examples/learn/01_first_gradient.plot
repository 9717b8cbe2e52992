# The progressive sign, and the tangents whose slopes the tape has found.
set xlabel 'w'; set key top left; set xrange [-1.5:1.5]; set yrange [-1.4:1.4]
plot tanh(2 * x) / tanh(2) title 'F(w, 2)', \
     table using ($1 - 0.25):($2 - 0.25 * $3):(0.5):(0.5 * $3) with vectors nohead linetype 2 title "tangent of slope F'(w, 2)", \
     table using 1:2 with points linetype 2 pointtype 7 notitle
