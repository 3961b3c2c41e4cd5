"""What is measured: AP by pycocotools, IoU and Dice from counts."""
