"""What is measured: AP as COCO and Pascal VOC define it, IoU and Dice from counts, contours."""
